"""A record of the last run of a pipeline, in a small file.

The destination shows what is loaded, but not what failed, for a failed run loads nothing. A run
writes its record when it starts and again when it ends. A record that still says `running` while no
job holds the lock is that of a run that was killed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..files import replace_durably

logger = logging.getLogger("mixpanel_source")

RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"


@dataclass(frozen=True)
class LastRun:
    """One run of a job."""

    job: str
    """`sync`, `backfill` or `catch-up`."""
    tables: Sequence[str]
    began_at: float
    """Seconds since the epoch."""
    ended_at: float | None = None
    """Seconds since the epoch; None while it is running."""
    outcome: str = RUNNING
    """`running`, `done`, `failed`, or `stopped` by the user, the quota or another program."""
    rows: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)
    """Table -> error message; the table is empty if the whole run failed."""


def write_last_run(path: Path, run: LastRun) -> None:
    """Replace the record at `path`; failing to write it is logged, not raised."""
    try:
        replace_durably(path, json.dumps(asdict(run)).encode())
    except OSError as error:
        logger.warning("The record of this run could not be written: %s.", error.strerror)


def read_last_run(path: Path) -> LastRun | None:
    """The record at `path`; None if it is missing or cannot be read."""
    with suppress(OSError, ValueError, TypeError):
        return LastRun(**json.loads(path.read_text()))
    return None
