"""How the last run of a pipeline ended, in a small file beside its lock.

What is loaded is told by the destination; what went wrong is not, for a run that failed loads
nothing. A run says that it begins, and how it ends: one that never said so was killed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

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
    outcome: str = RUNNING
    """`running`, `done`, `failed` or `stopped`: by the user, or for the quota."""
    rows: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)
    """Table -> what was said of its failure; the key is empty if it was the failure of all."""


def write_last_run(path: Path, run: LastRun) -> None:
    """Replace what the file says; a disk that cannot be written is no reason to fail."""
    beside = path.with_suffix(".new")
    try:
        beside.write_text(json.dumps(asdict(run)))
        beside.replace(path)
    except OSError as error:
        logger.warning("How this run goes could not be noted: %s.", error.strerror)


def read_last_run(path: Path) -> LastRun | None:
    """What the file says, or None if there is none that can be read."""
    with suppress(OSError, ValueError, TypeError):
        return LastRun(**json.loads(path.read_text()))
    return None
