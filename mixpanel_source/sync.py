"""The jobs: bring the tables up to date, load a range of days.

Each is a function a script can call. A job runs the source again and again, a load package at a
time, until there is nothing left to fetch; what is loaded stays loaded, whatever happens next. It
starts from what the destination holds, not from what an earlier run left half done: a package that
was interrupted is dropped and loaded anew, for loading the rest of it would load some rows twice.
"""

from __future__ import annotations

import fcntl
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dlt
from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigurationException,
)
from dlt.common.destination.exceptions import DestinationException, UnknownDestinationModule
from dlt.pipeline.exceptions import PipelineStepFailed

from . import mixpanel_source, settings
from .client import Clock
from .config import parse_range
from .errors import AuthError, BusyError, ConfigError, MixpanelError
from .lookup import load_config
from .resources.session import (
    Checkpoint,
    Job,
    WindowReport,
    data_directory,
    pipeline_spool,
)

BESIDE_ITS_CATALOG = "main"
"""Dataset in a DuckDB file of the dataset's own name; see `open_pipeline`."""


@dataclass
class Report:
    """What a job did."""

    pipeline: dlt.Pipeline
    windows: list[WindowReport] = field(default_factory=list)
    failures: dict[str, MixpanelError] = field(default_factory=dict)
    """Table -> why it was not brought up to date; the others were."""
    seconds: float = 0.0

    @property
    def rows(self) -> Counter[str]:
        """Table -> rows loaded."""
        rows: Counter[str] = Counter()
        for window in self.windows:
            rows[window.table_name] += window.rows
        return rows


def sync(
    tables: Sequence[str] = settings.DEFAULT_TABLES,
    *,
    pipeline: dlt.Pipeline | None = None,
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = settings.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> Report:
    """Bring `tables` up to date; safe to run at any time.

    Args:
        tables: names of tables, in the order to load them.
        pipeline: where to; `open_pipeline()` if not given.
        checkpoint: how much to load at a time.
        max_wait_s: longest wait that the quota may impose; a longer one ends the job for now.
        clock: the time, and how to wait.
        given: settings, which go before those configured.

    Returns:
        What was loaded, and the tables that could not be, with the reason.

    Raises:
        ConfigError: a setting or a table is unknown or malformed; nothing was loaded.
        AuthError: Mixpanel does not know the account or the project; nothing more was tried.
        BusyError: another job of the same pipeline is under way.
    """
    check_tables(tables)
    config = load_config(given)
    if config.range is not None:
        raise ConfigError("range is set, which is for a backfill: leave it out, or run a backfill.")
    job = Job(checkpoint=checkpoint or Checkpoint(), max_wait_s=max_wait_s, clock=clock)
    return _run(tables, pipeline or open_pipeline(), job, given)


def backfill(
    wanted: str,
    *,
    pipeline: dlt.Pipeline | None = None,
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = settings.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> Report:
    """Load the events of `wanted`, neither reading nor moving the cursor of syncs.

    One that was interrupted goes on where it was when run again with the same days.

    Args:
        wanted: `first,last`, both inclusive, of the form YYYY-MM-DD.
        pipeline: where to; `open_pipeline()` if not given.
        checkpoint: how much to load at a time.
        max_wait_s: longest wait that the quota may impose; a longer one ends the job for now.
        clock: the time, and how to wait.
        given: settings, which go before those configured.

    Raises:
        ConfigError: the days or a setting are malformed; nothing was loaded.
        AuthError: Mixpanel does not know the account or the project.
        BusyError: another job of the same pipeline is under way.
    """
    parse_range("range", wanted)
    given = {**given, "range": wanted}
    load_config(given)
    job = Job(checkpoint=checkpoint or Checkpoint(), max_wait_s=max_wait_s, clock=clock)
    return _run(("export",), pipeline or open_pipeline(), job, given)


def check_tables(tables: Sequence[str]) -> None:
    """Refuse tables that do not exist.

    Raises:
        ConfigError: naming the valid ones.
    """
    unknown = [name for name in tables if name not in settings.TABLES]
    if unknown or not tables:
        raise ConfigError(
            f"tables is {', '.join(tables) or 'empty'}; it must be names out of "
            f"{', '.join(settings.TABLES)}, with commas between them."
        )


def open_pipeline(
    destination: str = "duckdb",
    *,
    dataset: str = settings.DATASET_NAME,
    name: str = settings.PIPELINE_NAME,
) -> dlt.Pipeline:
    """A pipeline for a destination, ready to be handed to a job.

    DuckDB cannot tell a schema from the database it is in when both have one name, and a database
    is named after its file: there the tables go to the schema `main`, so that `mixpanel.export` is
    the table's name in `mixpanel.duckdb` as anywhere else.

    Args:
        destination: a destination of dlt; its credentials are found as dlt finds them. DuckDB
            without any goes to `mixpanel.duckdb` in the working directory.
        dataset: the dataset, or schema, of the tables.
        name: of the pipeline; two of different names may run at the same time.

    Raises:
        ConfigError: there is no such destination, or it has no credentials.
        BusyError: a job of that pipeline is under way that was started in another directory.
    """
    try:
        pipeline = dlt.pipeline(name, destination=destination, dataset_name=dataset)
        _move_here(pipeline)
        config: Any = pipeline.destination_client().config
    except (UnknownDestinationModule, DestinationException, ConfigurationException) as error:
        raise _destination_error(destination, error) from error
    if destination == "duckdb" and Path(config.credentials.database).stem == pipeline.dataset_name:
        return dlt.pipeline(name, destination=destination, dataset_name=BESIDE_ITS_CATALOG)
    return pipeline


def _move_here(pipeline: dlt.Pipeline) -> None:
    """Let relative paths start in this directory, and not where the pipeline first ran."""
    here = str(Path(dlt.current.run_context().local_dir).absolute())
    if pipeline.get_local_state_val("initial_cwd") != here:
        with _alone(pipeline):
            pipeline.drop()


def _destination_error(destination: str, error: Exception) -> ConfigError:
    if isinstance(error, ConfigFieldMissingException):
        return ConfigError(
            f"destination {destination} has no credentials: set "
            f"DESTINATION__{destination.upper()}__CREDENTIALS in the environment, or fill in "
            f"[destination.{destination}.credentials] of .dlt/secrets.toml."
        )
    return ConfigError(
        f"destination {destination} cannot be used ({type(error).__name__}). Give the name of a "
        "destination of dlt, such as duckdb, postgres or filesystem, and install what it needs: "
        f'pip install "dlt[{destination}]".'
    )


def location(pipeline: dlt.Pipeline) -> str:
    """Where the tables are, without credentials."""
    config: Any = pipeline.destination_client().config
    return f"{config.data_location()}, dataset {pipeline.dataset_name}"


def _run(
    tables: Sequence[str],
    pipeline: dlt.Pipeline,
    job: Job,
    given: dict[str, Any],
) -> Report:
    report = Report(pipeline)
    began = job.clock.time()
    with _alone(pipeline):
        for table in tables:
            try:
                _start_clean(pipeline)
                for windows in _iter_packages(table, pipeline, job, given):
                    report.windows += windows
            except (AuthError, ConfigError):
                raise
            except MixpanelError as failure:
                report.failures[table] = failure
        if not report.failures:
            # what is still there was fetched for other settings, or loaded just before a crash
            pipeline_spool(pipeline.pipeline_name).clear()
    report.seconds = job.clock.time() - began
    return report


def _iter_packages(
    table: str, pipeline: dlt.Pipeline, job: Job, given: dict[str, Any]
) -> Iterator[list[WindowReport]]:
    """Loads a package at a time; yields its windows once they are loaded."""
    while True:
        job.begin_package()
        source = mixpanel_source(job=job, **given).with_resources(table)
        with _own_errors():
            pipeline.run(source, loader_file_format="parquet")
        job.end_package()
        yield job.reports
        if job.failure is not None:
            raise job.failure
        if not job.unfinished:
            return


def _start_clean(pipeline: dlt.Pipeline) -> None:
    """Forget what an interrupted run left here, and learn from the destination what is loaded."""
    with _own_errors():
        if pipeline.has_pending_data:
            pipeline.abort_packages()
        pipeline.drop()
        pipeline.sync_destination()


@contextmanager
def _alone(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Hold the pipeline's lock, so that no two jobs work on one spool and one state."""
    directory = data_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (directory / f"{pipeline.pipeline_name}.lock").open("a")
    except OSError as error:
        raise MixpanelError(
            f"The directory {directory} cannot be written: {error.strerror}. Make it writable, or "
            "set DLT_DATA_DIR to another."
        ) from error
    with file:
        try:
            # unlike lockf it keeps the threads of one process apart; closing the file ends it
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"Another job of the pipeline {pipeline.pipeline_name} is under way. Wait until it "
                "has ended; if it hangs, end its process."
            ) from None
        yield


@contextmanager
def _own_errors() -> Iterator[None]:
    """Let our own errors out of the wrapping that dlt gives them, and name the step of others."""
    try:
        yield
    except PipelineStepFailed as failure:
        own = next((e for e in _causes(failure) if isinstance(e, MixpanelError)), None)
        if own is not None:
            raise own from None
        raise MixpanelError(
            f"dlt could not {failure.step} the data: {_first_line(failure.exception)} What was "
            "loaded before is safe; run again once the cause is gone."
        ) from failure


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException | None) -> str:
    """What a destination said, without what it quotes: that may be a value."""
    text = str(error).strip() or type(error).__name__
    line = re.sub(r"""(["']).*?(\1|$)""", "...", text.splitlines()[0].strip())
    return line if line.endswith(".") else f"{line}."
