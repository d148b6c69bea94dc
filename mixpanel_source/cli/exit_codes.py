"""Exit codes of the command line."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
UNCHANGED: Final = 3
"""A backfill changed nothing, because Mixpanel no longer serves the events of its days."""
LATER: Final = 75
"""Stopped for now; the same command continues later. `EX_TEMPFAIL` of sysexits.h."""
INTERRUPTED: Final = 130
"""What shells report for a command ended by Ctrl-C: 128 and the number of the signal."""
