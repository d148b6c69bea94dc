"""The directory in which dlt keeps the local state, schemas and load packages of a pipeline.

State and schemas are derived from the destination, so what is damaged is removed, and dlt makes it
again. The packages hold events and profiles, so they are removed once they are loaded.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import orjson

from ..files import make_private
from ..paths import LoadTarget, data_directory

logger = logging.getLogger("mixpanel_source")


def make_target_directory(target: LoadTarget) -> None:
    """Create the directory of a target's files, which only its owner may enter.

    Raises:
        MixpanelError: it belongs to another user, or is a link that another user made.
        OSError: it cannot be created.
    """
    for directory in (data_directory(), target.directory):
        make_private(directory)


def discard_damaged_state(directory: Path) -> None:
    """Remove a working directory whose state or schemas are not JSON, as after a power cut.

    dlt replaces these files at once or not at all, so a job under way does not look damaged.

    Args:
        directory: of one pipeline; it may not exist.

    Raises:
        OSError: a file cannot be read, or the directory cannot be removed.
    """
    damaged = [path for path in _state_files(directory) if not _is_json_object(path)]
    if damaged:
        names = ", ".join(path.name for path in damaged)
        logger.warning("dlt's local state is damaged (%s) and is made again.", names)
        shutil.rmtree(directory)


def _state_files(directory: Path) -> list[Path]:
    return [
        path
        for path in (directory / "state.json", *directory.glob("schemas/*.json"))
        if path.is_file()
    ]


def _is_json_object(path: Path) -> bool:
    try:
        return isinstance(orjson.loads(path.read_bytes()), dict)
    except (FileNotFoundError, orjson.JSONDecodeError):
        return False


def remove_loaded_packages(directory: Path) -> None:
    """Remove the packages that are in the destination: dlt would keep them until the next job."""
    for package in directory.glob("load/loaded/*"):
        shutil.rmtree(package, ignore_errors=True)
