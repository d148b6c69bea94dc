"""The load package being filled, and what a run has loaded so far.

A package is written by the resource that fills it; the record by the runner, once a package is in
the destination.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from .. import constants
from ..errors import MixpanelError, PausedError
from ..progress import Progress
from ..windows import iter_days
from .load_log import WindowLoad
from .losses import Loss
from .spool.spool import Spool

logger = logging.getLogger("mixpanel_source")


class TablePart(NamedTuple):
    """A table, or one part of a table that is loaded part by part."""

    table: str
    part: str = ""
    """A cohort, a group type or a report; empty for the table as a whole."""

    def __str__(self) -> str:
        """For people: `engage`, `funnels: Checkout`."""
        return f"{self.table}: {self.part}" if self.part else self.table


@dataclass(frozen=True)
class Checkpoint:
    """The size of a load package: a job loads what it has when either limit is reached."""

    bytes: int = constants.CHECKPOINT_BYTES
    """Uncompressed bytes of the windows."""
    seconds: float = constants.CHECKPOINT_SECONDS
    """Time since the package was begun."""


@dataclass
class LoadPackage:
    """A load package being filled with windows of one table."""

    table: str
    began_at: float
    """Seconds since the epoch."""
    checkpoint: Checkpoint | None
    """None: the package takes all there is, as in a plain `pipeline.run(mixpanel_source())`."""
    progress: Progress
    windows: list[WindowLoad] = field(default_factory=list)
    """What is in the package, complete."""
    has_more: bool = False
    """Whether it ended at a checkpoint, with more left to fetch."""
    failure: MixpanelError | None = None
    """What ended it early, after the windows that are in it."""
    failed_parts: dict[str, MixpanelError] = field(default_factory=dict)
    """Part -> why it is not in the package; the others are."""
    spooled: list[tuple[Spool, str]] = field(default_factory=list)
    """Spool files of the package, obsolete once it is loaded."""
    loss: Loss | None = None
    """What the destination no longer has of the table; known in the first package of a run."""
    searched_late_events: bool = False
    """Whether late events were searched for, rather than known from an earlier package."""

    def add(self, window: WindowLoad) -> None:
        """Note a window whose rows are all in the package."""
        self.windows.append(window)
        days = (window.last_day - window.first_day).days + 1
        self.progress.window_loaded(self.table, days=days, rows=window.rows, size=window.bytes)
        logger.info("%s", window, extra=window.log_fields)

    def is_full(self, now: float) -> bool:
        """Whether either limit of the checkpoint is reached."""
        if self.checkpoint is None or not self.windows:
            return False
        size = sum(window.bytes for window in self.windows)
        return size >= self.checkpoint.bytes or now - self.began_at >= self.checkpoint.seconds

    def leave_out(self, part: str, failure: MixpanelError) -> bool:
        """Continue without a part that failed; False where a failure must end the load."""
        if self.checkpoint is None:
            return False
        self.failed_parts[part] = failure
        return True

    def end_with(self, failure: MixpanelError) -> bool:
        """End the package with `failure`, to be raised once it is loaded.

        Returns:
            False if there is nothing in it to load: then the failure has to be raised now.
        """
        if self.checkpoint is None or not self.windows:
            return False
        if isinstance(failure, PausedError):
            self.has_more = True
        else:
            self.failure = failure
        return True


@dataclass
class RunRecord:
    """What a run has loaded so far, over all its packages."""

    windows: list[WindowLoad] = field(default_factory=list)
    failures: dict[TablePart, MixpanelError] = field(default_factory=dict)
    """What could not be loaded, and why; everything else was."""
    days: set[tuple[str, date]] = field(default_factory=set)
    """Table and day of every window loaded."""
    parts: set[TablePart] = field(default_factory=set)
    """The parts loaded, and those that failed."""
    searched_late_events: bool = False
    synced_through: date | None = None
    """The newest day of `export` that any sync has loaded; None if that is not known yet."""

    def add(self, package: LoadPackage) -> None:
        """Record a package that is in the destination."""
        self.windows += package.windows
        for window in package.windows:
            days = iter_days(window.first_day, window.last_day)
            self.days.update((window.table_name, day) for day in days)
            self.parts.add(TablePart(window.table_name, window.part))
        self.add_failed_parts(package)
        self.searched_late_events |= package.searched_late_events

    def add_failed_parts(self, package: LoadPackage) -> None:
        """Record the parts of a package that failed."""
        for part, failure in package.failed_parts.items():
            self.failures[TablePart(package.table, part)] = failure
            self.parts.add(TablePart(package.table, part))
