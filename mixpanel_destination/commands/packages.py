"""Load packages of dlt: rows are staged in one, which is sent until nothing is left of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dlt
import pyarrow as pa
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.pipeline.exceptions import PipelineStepFailed
from filelock import FileLock, Timeout

from mixpanel_source.errors import BusyError, ConfigError, MixpanelError

from .. import constants
from ..destination import Delivery, StoppedError, build_destination
from ..rows.staged import KIND_HINT, Staged, to_table
from ..runs import ProjectRuns


class Packages:
    """The load packages of one project and kind of rows."""

    def __init__(self, runs: ProjectRuns, kind: str, delivery: Delivery) -> None:
        """Open the pipeline that has the packages; nothing is sent.

        Args:
            runs: of the project.
            kind: of the rows.
            delivery: sends them.
        """
        _prepare_dlt(kind)
        # arrow's own allocator keeps what each of the threads has ever needed
        pa.set_memory_pool(pa.system_memory_pool())
        self._kind = kind
        self._pipeline = dlt.pipeline(
            f"mixpanel_{kind}",
            destination=build_destination(delivery),
            pipelines_dir=str(runs.packages),
        )

    def pending(self) -> str | None:
        """The run whose package is staged; None if there is none."""
        packages = self._pipeline.list_normalized_load_packages()
        return packages[0] if packages else None

    def stage(self, rows: Iterable[list[Staged]]) -> str | None:
        """Stage rows.

        Args:
            rows: lists of at most `constants.FILE_ROWS`; each becomes a file.

        Returns:
            The run; None if there are no rows.
        """
        self.discard()
        resource = dlt.resource(
            _tables(rows), name=self._kind, write_disposition="append", parallelized=False
        )
        resource.apply_hints(additional_table_hints={KIND_HINT: self._kind})
        with _own_errors():
            self._pipeline.extract(resource, loader_file_format="parquet")
            self._pipeline.normalize()
        return self.pending()

    def send(self) -> None:
        """Send what is left of the staged package.

        Raises:
            MixpanelError: nothing more can be sent now; the package stays.
        """
        with _own_errors():
            self._pipeline.load()

    def discard(self) -> None:
        """Delete what is staged and not sent."""
        if self._pipeline.has_pending_data:
            self._pipeline.abort_packages()


@contextmanager
def exclusive(runs: ProjectRuns, kind: str) -> Iterator[None]:
    """Keep other processes from the packages of a project and kind.

    Raises:
        BusyError: another process holds them.
    """
    lock = FileLock(runs.directory / f"{kind}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            f"Another command is writing {kind} to this project. Run again when it has ended."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _tables(rows: Iterable[list[Staged]]) -> Iterator[pa.Table]:
    first = 0
    for part in rows:
        # small tables become small row groups, of which each client reads one at a time
        for start in range(0, len(part), constants.BATCH_ROWS):
            yield to_table(part[start : start + constants.BATCH_ROWS], first=first + start)
        first += len(part)


def _prepare_dlt(kind: str) -> None:
    """Set what dlt reads from the environment alone."""
    wanted = {"RAISE_ON_FAILED_JOBS": "true", "AUTO_ABORT_ON_TERMINAL_ERROR": "false"}
    for name, value in wanted.items():
        configured = str(dlt.config.get(f"load.{name.lower()}")).lower()
        if configured not in ("none", value):
            raise ConfigError(
                f"load.{name.lower()} is {configured}, so that rows which were not sent would be "
                f"lost. Remove LOAD__{name} from the environment, or the setting from "
                ".dlt/config.toml."
            )
    # in the environment, because `mixpanel_source`, which reads tables, configures fewer
    os.environ.setdefault("LOAD__WORKERS", str(constants.CLIENTS))
    # packages hold personal data
    os.environ["LOAD__DELETE_COMPLETED_JOBS"] = "true"
    # what is applied in order must not be sent in parallel, which dlt does by file
    rows = str(constants.FILE_ROWS) if kind == "events" else str(2**62)
    os.environ["SOURCES__DATA_WRITER__FILE_MAX_ITEMS"] = rows


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise our own errors without those that dlt wraps around them."""
    try:
        yield
    except (PipelineStepFailed, ConfigurationException) as failure:
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, MixpanelError) and not isinstance(cause, StoppedError):
                raise cause from None
            cause = cause.__cause__
        step = getattr(failure, "step", "run")
        inner = getattr(failure, "exception", failure)
        raise MixpanelError(
            f"dlt could not {step} the package: {type(inner).__name__}. What is staged is kept; "
            "run the same command again."
        ) from failure


def remove_loaded(directory: Path) -> None:
    """Delete what dlt keeps of packages that are sent."""
    import shutil  # noqa: PLC0415

    for path in directory.glob("*/load/loaded/*"):
        shutil.rmtree(path, ignore_errors=True)
