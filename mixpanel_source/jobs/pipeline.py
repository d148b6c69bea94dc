"""The dlt pipeline that a job runs in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlt
from dlt.common.exceptions import DltException
from dlt.common.pipeline import get_dlt_pipelines_dir

from .. import constants
from ..config.model import Config
from ..destinations.registry import destination_of, find_destination
from ..errors import MixpanelError
from ..files import make_private
from ..tables.ownership import claim_dataset
from .dlt_errors import destination_errors, unwrap_errors
from .lock import pipeline_lock
from .working_directory import discard_damaged_state


def open_pipeline(
    destination: str = "duckdb",
    *,
    dataset: str = constants.DATASET_NAME,
    name: str = constants.PIPELINE_NAME,
) -> dlt.Pipeline:
    """A pipeline to a destination, for a job.

    In a DuckDB file that has the dataset's name, the tables are in the schema `main`: DuckDB cannot
    tell a schema from a database of the same name.

    Args:
        destination: name of a dlt destination, whose credentials dlt looks up. DuckDB without
            credentials is the file `mixpanel.duckdb` in the working directory.
        dataset: the dataset, or schema, of the tables.
        name: of the pipeline. Pipelines with different names can run at the same time.

    Raises:
        ConfigError: the destination does not exist or has no credentials.
        BusyError: a job of this pipeline is under way that was started in another directory.
        MixpanelError: the pipeline's working directory cannot be created or read.
    """
    try:
        with destination_errors(destination):
            _prepare_working_directory(_make_pipeline(name, destination, dataset))
            pipeline = make_pipeline(name, destination, dataset)
            make_private(Path(pipeline.working_dir))
            # only a client looks up the credentials: missing ones are reported here
            pipeline.destination_client()
            return pipeline
    except OSError as error:
        raise MixpanelError(
            f"The pipeline's working directory cannot be used: {error.strerror} at "
            f"{error.filename}. Make room for it, or set DLT_DATA_DIR to another directory."
        ) from error


def make_pipeline(
    name: str, destination: str, dataset: str, *, working_directory: str = ""
) -> dlt.Pipeline:
    """A pipeline whose dataset has the name that its destination requires.

    Args:
        name: of the pipeline.
        destination: name of a dlt destination.
        dataset: as the user gave it.
        working_directory: for dlt's local state; dlt's own directory if empty.
    """
    # only a configured destination knows its rules for names, and only a pipeline configures one
    draft = _make_pipeline(name, destination, dataset, working_directory)
    return _make_pipeline(name, destination, destination_of(draft).dataset_name, working_directory)


def open_beside(pipeline: dlt.Pipeline, purpose: str) -> dlt.Pipeline:
    """Another pipeline to the same dataset, with schemas and state of its own."""
    return dlt.pipeline(
        f"{pipeline.pipeline_name}_{purpose}",
        destination=destination_of(pipeline).build_beside(),
        dataset_name=pipeline.dataset_name,
    )


def location(pipeline: dlt.Pipeline) -> str:
    """Where the tables are, without credentials."""
    config: Any = pipeline.destination_client().config
    return f"{config.data_location()}, dataset {pipeline.dataset_name}"


def claim_for(pipeline: dlt.Pipeline, config: Config) -> None:
    """Claim the pipeline's dataset for the project of `config`, or check that it is claimed.

    Raises:
        ConfigError: the dataset belongs to another project or another pipeline.
        MixpanelError: the destination cannot be reached or written.
    """
    with unwrap_errors():
        claim_dataset(pipeline, project_id=config.project_id)


def reset_local_state(pipeline: dlt.Pipeline) -> None:
    """Discard local state and pending packages, so that the next run starts from the destination.

    Resuming an interrupted package would load some of its rows twice.
    """
    pipeline.drop()
    make_private(Path(pipeline.working_dir))
    # overrides the setting, which also decides whether state is stored in the destination at all
    pipeline.config.restore_from_destination = True


def _make_pipeline(
    name: str, destination: str, dataset: str, working_directory: str = ""
) -> dlt.Pipeline:
    if dlt.config.get("load.workers") is None:
        dlt.config["load.workers"] = constants.LOAD_WORKERS
    discard_damaged_state(Path(working_directory or get_dlt_pipelines_dir()) / name)
    return dlt.pipeline(
        name,
        # a new one each time: it keeps what it was configured with, such as the working directory
        destination=find_destination(destination).build(destination),
        dataset_name=dataset,
        pipelines_dir=working_directory,
    )


def _prepare_working_directory(pipeline: dlt.Pipeline) -> None:
    """Recreate the working directory if it is damaged or was created from another directory.

    dlt resolves relative paths, such as that of a DuckDB file, from where a pipeline first ran;
    here they are relative to the current directory. Nothing is lost: the destination holds the
    state too.
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
