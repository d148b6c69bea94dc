"""The dlt pipeline that a job runs in."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dlt
from dlt.common.destination.reference import TDestinationReferenceArg
from dlt.common.exceptions import DltException
from dlt.common.storages.exceptions import StorageException

from .. import constants
from ..config.dlt_settings import check_dlt_settings
from ..config.model import Config
from ..config.names import check_names
from ..config.projects import project_of
from ..destinations.registry import destination_of, find_destination
from ..errors import BusyError, ConfigError, MixpanelError
from ..files import make_private
from ..paths import LoadTarget
from ..tables.load_log import SOURCE_NAME
from ..tables.ownership import claim_dataset
from .dlt_errors import destination_errors, unwrap_errors
from .lock import is_job_running
from .working_directory import (
    discard_damaged_state,
    make_target_directory,
    working_directory_lock,
)


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
            credentials is a file in the working directory: `mixpanel.duckdb`, or one with the name
            of the pipeline, if that is another and not the one of a configured project.
        dataset: the dataset, or schema, of the tables.
        name: of the pipeline.

    Raises:
        BusyError: another process opens the pipeline, and does not end.
        ConfigError: the destination does not exist or has no credentials, or a name is not valid.
        MixpanelError: the pipeline's working directory cannot be created or read.
    """
    try:
        with destination_errors(destination):
            pipeline = make_pipeline(name, destination, dataset)
            make_private(Path(pipeline.working_dir))
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
        working_directory: for dlt's local state; that of the load target if empty.

    Raises:
        ConfigError: a name or a setting of dlt is not valid.
    """
    check_names(name, dataset)
    check_dlt_settings()
    # Only a configured destination knows where it is and its rules for names, and only a pipeline
    # configures one. Paths are relative to the current directory, because the draft is new; the
    # real pipeline may have been made from another directory.
    # dlt names a DuckDB file after the pipeline, but all projects are loaded into the same file.
    draft_name = name if project_of(name) is None else constants.PIPELINE_NAME
    with TemporaryDirectory(prefix="mixpanel-draft-") as directory:
        draft = _make_pipeline(
            draft_name, find_destination(destination).build(destination), dataset, directory
        )
        target = destination_of(draft)
        dataset = target.find_dataset()
        there = target.build_beside()
        files = LoadTarget(target.location, dataset, name)
    if working_directory:
        return _make_pipeline(name, there, dataset, working_directory)
    return _open_target(files, there)


def _open_target(target: LoadTarget, destination: TDestinationReferenceArg) -> dlt.Pipeline:
    """The pipeline of a target, whose files are made again if they are damaged."""
    make_target_directory(target)
    directory = target.pipelines_dir / target.pipeline
    with working_directory_lock(directory):
        # a job under way may look damaged for an instant, and makes its own files again anyway
        is_free = not is_job_running(target)
        if is_free:
            discard_damaged_state(directory)
        try:
            pipeline = _make_pipeline(
                target.pipeline, destination, target.dataset, str(target.pipelines_dir)
            )
        except (OSError, StorageException, ValueError) as error:
            if is_free:
                raise
            raise BusyError(
                f"Another job of the pipeline {target.pipeline} is changing its files. Run again."
            ) from error
        if is_free and not _is_sound(pipeline):
            # nothing is lost: the destination holds the state too
            pipeline.drop()
    return pipeline


def open_beside(pipeline: dlt.Pipeline, purpose: str) -> dlt.Pipeline:
    """Another pipeline to the same dataset, with schemas and state of its own."""
    name = f"{pipeline.pipeline_name}_{purpose}"
    discard_damaged_state(Path(pipeline.pipelines_dir) / name)
    return _make_pipeline(
        name,
        destination_of(pipeline).build_beside(),
        pipeline.dataset_name,
        pipeline.pipelines_dir,
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


def check_loader_settings() -> None:
    """Check that dlt does not take a package for loaded of which the destination refused a part.

    Raises:
        ConfigError: a setting of dlt tells it to.
    """
    if dlt.config.get("load.raise_on_failed_jobs", bool) is False:
        raise ConfigError(
            "load.raise_on_failed_jobs is false, so days that the destination refuses would count "
            "as loaded. Remove LOAD__RAISE_ON_FAILED_JOBS from the environment, or the setting "
            "from .dlt/config.toml."
        )


def reset_local_state(pipeline: dlt.Pipeline) -> None:
    """Discard local state and pending packages, so that the next run starts from the destination.

    Resuming an interrupted package would load some of its rows twice.
    """
    directory = Path(pipeline.working_dir)
    with working_directory_lock(directory):
        pipeline.drop()
        make_private(directory)
    # overrides the setting, which also decides whether state is stored in the destination at all
    pipeline.config.restore_from_destination = True


def _make_pipeline(
    name: str, destination: TDestinationReferenceArg, dataset: str, directory: str
) -> dlt.Pipeline:
    if dlt.config.get("load.workers") is None:
        dlt.config["load.workers"] = constants.LOAD_WORKERS
    return dlt.pipeline(
        name,
        destination=destination,
        dataset_name=dataset,
        pipelines_dir=directory,
        _impl_cls=_Pipeline,
    )


class _Pipeline(dlt.Pipeline):
    """A pipeline whose name need not be a name of a schema, such as `mixpanel-eu`."""

    def _get_schema_or_create(self, schema_name: str | None = None) -> dlt.Schema:
        if schema_name or self.default_schema_name:
            return super()._get_schema_or_create(schema_name)
        with self._maybe_destination_capabilities():
            return dlt.Schema(SOURCE_NAME)


def _is_sound(pipeline: dlt.Pipeline) -> bool:
    """Whether dlt can read the files in the working directory."""
    try:
        return all(pipeline.schemas[name].name == name for name in pipeline.schema_names)
    except (DltException, OSError, ValueError):
        return False
