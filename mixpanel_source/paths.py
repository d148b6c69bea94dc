"""Where this package keeps files between runs: in a directory beside dlt's own data."""

from __future__ import annotations

from pathlib import Path


def data_directory() -> Path:
    """The directory of locks, spools and records of requests; it may not exist yet.

    It follows dlt's data directory, which `DLT_DATA_DIR` sets.
    """
    import dlt  # noqa: PLC0415 - takes half a second to load

    return Path(dlt.current.run_context().data_dir) / "mixpanel_source"


def spool_directory(pipeline_name: str) -> Path:
    """Downloaded windows of a pipeline that are not loaded yet."""
    return data_directory() / f"{pipeline_name}.spool"


def lock_file(pipeline_name: str) -> Path:
    """The file that a running job of a pipeline holds locked."""
    return data_directory() / f"{pipeline_name}.lock"


def last_run_file(pipeline_name: str) -> Path:
    """The record of how the last run of a pipeline ended."""
    return data_directory() / f"{pipeline_name}.last-run.json"
