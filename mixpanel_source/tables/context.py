"""What the resources of one job share: the client, the spool, the checkpoint, the reports."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from threading import Event
from typing import Any

import dlt

from .. import constants
from ..api.client import Client, Clock
from ..config.model import Config
from ..decode.parallel import Prefetch
from ..errors import ConfigError, MixpanelError, PausedError
from ..progress import Progress
from ..windows import WindowSizer, iter_days
from .load_log import WindowLoad
from .spool import Spool

logger = logging.getLogger("mixpanel_source")

WRITER_DEFAULTS = {
    # dlt refuses tables of one run that differ; `default` adds columns, and changes no value
    "sources.data_writer.arrow_concat_promote_options": "default",
    "sources.data_writer.file_max_items": constants.FILE_ROWS,
}
"""How dlt writes the files of a package, unless told otherwise."""


@dataclass(frozen=True)
class Checkpoint:
    """How much one load package takes; a job loads what it has when either is reached."""

    bytes: int = constants.CHECKPOINT_BYTES
    """Uncompressed bytes."""
    seconds: float = constants.CHECKPOINT_SECONDS


class Job:
    """One run of a job, over as many load packages as it takes.

    Without a checkpoint all is one package, as a plain `pipeline.run(mixpanel_source())` has it.
    """

    def __init__(
        self,
        *,
        checkpoint: Checkpoint | None = None,
        max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
        clock: Clock = time,
        progress: Progress | None = None,
        stop: Event | None = None,
        catches_up: bool = False,
    ) -> None:
        """Start with nothing done.

        Args:
            checkpoint: when to end a package; None for never.
            max_wait_s: longest wait that the quota may impose.
            clock: the time, and how to wait.
            progress: is told how it goes.
            stop: once set, the job ends where nothing is half done.
            catches_up: whether it reads the days again that late events have arrived for, instead
                of those that a sync does.
        """
        self.catches_up = catches_up
        self.looked = False
        """Whether late events have been looked for."""
        self._max_wait_s = max_wait_s
        self.clock = clock
        self.progress = progress or Progress()
        self.stop = stop or Event()
        self.reports: list[WindowLoad] = []
        """The windows of the package under way."""
        self.unfinished = False
        """Whether the package ended at a checkpoint, with more to come."""
        self.failure: MixpanelError | None = None
        """What ended the package early, with windows in it that are good."""
        self.spooled: list[tuple[Spool, str]] = []
        """What is in the spool for this package; no use any more once it is loaded."""
        self.loaded: set[tuple[str, date]] = set()
        """Table and day of what the packages before have loaded."""
        self.done: set[tuple[str, str]] = set()
        """Table and part of what this job has loaded, or tried to."""
        self.failures: dict[str, MixpanelError] = {}
        """Table and part, as in `funnels: Checkout` -> why it was not loaded; the others were."""
        self.ahead: Prefetch[Any, Any] | None = None
        """What is being fetched, to be loaded next."""
        self._sizer: WindowSizer | None = None
        self._checkpoint = checkpoint
        self._clients: dict[Config, Client] = {}
        self._package_began = clock.time()

    def begin_package(self) -> None:
        """Forget the package before."""
        self.reports = []
        self.unfinished = False
        self.failure = None
        self.spooled = []
        self._package_began = self.clock.time()

    def end_package(self) -> None:
        """Note what the package has loaded, and clear the spool of it."""
        for report in self.reports:
            days = iter_days(report.first_day, report.last_day)
            self.loaded.update((report.table_name, day) for day in days)
            self.done.add((report.table_name, report.part))
        for spool, name in self.spooled:
            spool.remove(name)

    def drop_ahead(self) -> None:
        """Give up what is being fetched, so that another request may be made."""
        if self.ahead is not None:
            self.ahead.cancel()
            self.ahead = None

    def sizer(self, window_days: int | None) -> WindowSizer:
        """What decides how many days a request covers; it learns from the first package on."""
        if self._sizer is None:
            self._sizer = WindowSizer(window_days)
        return self._sizer

    def client(self, config: Config) -> Client:
        """The client for `config`; the same one each time, for it keeps the pace."""
        if config not in self._clients:
            self._clients[config] = Client(
                config,
                clock=self.clock,
                directory=data_directory(),
                progress=self.progress,
                stop=self.stop,
            )
        return self._clients[config]

    @property
    def requests(self) -> int:
        """Requests made so far, over all packages."""
        return sum(client.requests for client in self._clients.values())

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.fromtimestamp(self.clock.time(), timezone.utc)

    def report(self, report: WindowLoad) -> None:
        """Take note of a window that is in the package whole."""
        self.reports.append(report)
        days = (report.last_day - report.first_day).days + 1
        self.progress.took(report.table_name, days, report.rows, report.bytes)
        logger.info("%s", report)

    def is_checkpoint_due(self) -> bool:
        """Whether the package should end before the next window, and marks the job unfinished."""
        if self._checkpoint is None or not self.reports:
            return False
        taken_bytes = sum(report.bytes for report in self.reports)
        taken_s = self.clock.time() - self._package_began
        full = taken_bytes >= self._checkpoint.bytes or taken_s >= self._checkpoint.seconds
        if full or self.stop.is_set():
            self.unfinished = True
        return self.unfinished

    @property
    def patience_s(self) -> float:
        """Longest wait the quota may impose now; a short one while there is something to load."""
        if self._checkpoint is None or not self.reports:
            return self._max_wait_s
        return self.patience_ahead_s

    @property
    def patience_ahead_s(self) -> float:
        """Longest wait the quota may impose on what is fetched ahead."""
        if self._checkpoint is None:
            return self._max_wait_s
        return min(self._max_wait_s, constants.SHORT_WAIT_SECONDS)

    def leave_out(self, table: str, part: str, failure: MixpanelError) -> bool:
        """Whether to go on without a part of a table that failed."""
        if self._checkpoint is None:
            return False
        self.failures[f"{table}: {part}"] = failure
        self.done.add((table, part))
        return True

    def hold(self, failure: MixpanelError) -> bool:
        """Whether to load what the package has before letting `failure` through."""
        if self._checkpoint is None or not self.reports:
            return False
        if isinstance(failure, PausedError):
            self.unfinished = True
        else:
            self.failure = failure
        return True


def pipeline_spool(name: str) -> Spool:
    """The spool of the pipeline of that name."""
    return Spool(data_directory() / f"{name}.spool")


def open_spool() -> Spool:
    """The spool of the pipeline that is running."""
    return pipeline_spool(dlt.current.pipeline().pipeline_name)


def data_directory() -> Path:
    """Where spools and locks are, beside dlt's own data."""
    return Path(dlt.current.run_context().data_dir) / "mixpanel_source"


def claim_dataset(config: Config) -> None:
    """Note which project the dataset holds, and refuse to mix another into it.

    Raises:
        ConfigError: the dataset holds another project.
    """
    held = dlt.current.source_state().setdefault("project_id", config.project_id)
    if held != config.project_id:
        raise ConfigError(
            f"project_id is {config.project_id}, but the dataset holds project {held}, and loading "
            "would mix the two. Choose another dataset or another database."
        )


class _CarriedAsText(logging.Filter):
    """Silences a warning dlt gives for each table with JSON columns: arrow carries JSON as text."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "several column hints were different" not in record.getMessage()


@contextmanager
def growing_tables() -> Iterator[None]:
    """Let dlt take arrow tables of one run that have ever more columns, some of them JSON."""
    for name, value in WRITER_DEFAULTS.items():
        if dlt.config.get(name) is None:
            dlt.config[name] = value
    noise = _CarriedAsText()
    dlt_logger = logging.getLogger("dlt")
    dlt_logger.addFilter(noise)
    try:
        yield
    finally:
        dlt_logger.removeFilter(noise)
