"""The pipeline a job runs in: opened, held for the job alone, started clean."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dlt
from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigurationException,
)
from dlt.common.destination.exceptions import DestinationException, UnknownDestinationModule
from dlt.common.exceptions import DltException
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.pipeline.exceptions import PipelineStepFailed

from .. import constants
from ..destinations.duckdb import MergingDuckDb
from ..errors import BusyError, ConfigError, MixpanelError
from ..paths import data_directory, lock_file

BESIDE_ITS_CATALOG = "main"
"""Dataset in a DuckDB file of the dataset's own name; see `open_pipeline`."""


def open_pipeline(
    destination: str = "duckdb",
    *,
    dataset: str = constants.DATASET_NAME,
    name: str = constants.PIPELINE_NAME,
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
        MixpanelError: the working directory cannot be made or read.
    """
    try:
        with named_destination(destination):
            _move_here(_make_pipeline(name, destination, dataset))
            dataset = dataset_of(_make_pipeline(name, destination, dataset))
    except OSError as error:
        raise MixpanelError(
            f"The pipeline's working directory cannot be used: {error.strerror} at "
            f"{error.filename}. Make room for it, or set DLT_DATA_DIR to another directory."
        ) from error
    return _make_pipeline(name, destination, dataset)


def open_beside(pipeline: dlt.Pipeline, purpose: str) -> dlt.Pipeline:
    """Another pipeline to the same tables, which knows nothing of what the first one knows."""
    database = duckdb_file(pipeline)
    return dlt.pipeline(
        f"{pipeline.pipeline_name}_{purpose}",
        # without a file DuckDB would write one that has the name of this pipeline
        destination=pipeline.destination if database is None else MergingDuckDb(str(database)),
        dataset_name=pipeline.dataset_name,
    )


@contextmanager
def named_destination(destination: str) -> Iterator[None]:
    """Say what to do about a destination that does not exist or cannot be reached.

    Raises:
        ConfigError: instead of what dlt raises.
    """
    try:
        yield
    except (UnknownDestinationModule, DestinationException, ConfigurationException) as error:
        raise _destination_error(destination, error) from error


def _make_pipeline(name: str, destination: str, dataset: str) -> dlt.Pipeline:
    if dlt.config.get("load.workers") is None:
        dlt.config["load.workers"] = constants.LOAD_WORKERS
    # a destination keeps what it was configured with, so each pipeline has its own
    chosen = MergingDuckDb() if destination == "duckdb" else destination
    return dlt.pipeline(name, destination=chosen, dataset_name=dataset)


def duckdb_file(pipeline: dlt.Pipeline) -> Path | None:
    """The file that a pipeline to DuckDB writes; None for another destination."""
    config: Any = pipeline.destination_client().config
    return Path(config.credentials.database) if config.destination_type == "duckdb" else None


def dataset_of(pipeline: dlt.Pipeline) -> str:
    """The dataset that the tables of a pipeline go to; see `open_pipeline`."""
    database = duckdb_file(pipeline)
    beside = database is not None and database.stem == pipeline.dataset_name
    return BESIDE_ITS_CATALOG if beside else pipeline.dataset_name


def sql_dialect(pipeline: dlt.Pipeline) -> str | None:
    """What sqlglot calls the SQL of the destination; None if it is no database."""
    client = pipeline.destination_client()
    # files have the dialect of DuckDB, too, but no place for a view or a comment
    is_database = isinstance(client, SqlJobClientBase)
    return client.capabilities.sqlglot_dialect if is_database else None


def appending_note(pipeline: dlt.Pipeline) -> str | None:
    """What to know of a destination that only ever adds to tables; None if it replaces days."""
    capabilities = pipeline.destination_client().capabilities
    if "delete-insert" in (capabilities.supported_merge_strategies or ()):
        return None
    return (
        f"{pipeline.destination.destination_name} cannot replace rows: what is read again comes "
        "again. Of each day, and of all profiles, the rows of the newest _dlt_load_id count."
    )


def _move_here(pipeline: dlt.Pipeline) -> None:
    """Let relative paths start in this directory, and not where the pipeline first ran.

    The working directory of the pipeline is made anew for that, as it is when it was damaged: what
    it knows the destination knows too.
    """
    here = str(Path(dlt.current.run_context().local_dir).absolute())
    if pipeline.get_local_state_val("initial_cwd") != here or not _is_sound(pipeline):
        with pipeline_lock(pipeline):
            pipeline.drop()


def _is_sound(pipeline: dlt.Pipeline) -> bool:
    try:
        return all(pipeline.schemas[name].name == name for name in pipeline.schema_names)
    except (DltException, OSError, ValueError):
        return False


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


@contextmanager
def pipeline_lock(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Hold the pipeline's lock, so that no two jobs work on one spool and one state."""
    directory = data_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = lock_file(pipeline.pipeline_name).open("a")
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


def is_under_way(name: str) -> bool:
    """Whether a job holds the lock of the pipeline of that name."""
    path = lock_file(name)
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def reset_local_state(pipeline: dlt.Pipeline) -> None:
    """Forget what an earlier run left here: the next one asks the destination what is loaded."""
    # the packages that are pending go with the working directory, whatever state they are in
    pipeline.drop()
    # whatever is configured, for it also decides whether the state is stored there
    pipeline.config.restore_from_destination = True


@contextmanager
def unwrap_errors() -> Iterator[None]:
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
        error = error.__cause__


def _first_line(error: BaseException | None) -> str:
    """What dlt or a destination said, without what it quotes: that may be a value."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    line = re.sub(r"""(["']).*?(\1|$)""", "...", line.partition(" with message")[0].strip())
    return line if line.endswith(".") else f"{line}."
