"""The directory in which dlt keeps the local state, schemas and load packages of a pipeline.

State and schemas are derived from the destination, so what is damaged is removed, and dlt makes it
again. The packages hold events and profiles, so they are removed once they are loaded.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from ..errors import BusyError
from ..files import make_private
from ..paths import LoadTarget, data_directory

_OPENING_S = 30.0
"""Maximum wait for another process that opens or resets the same directory."""

logger = logging.getLogger("mixpanel_source")


def make_target_directory(target: LoadTarget) -> None:
    """Create the directory of a target's files, which only its owner may enter.

    Raises:
        MixpanelError: it belongs to another user, or is a link that another user made.
        OSError: it cannot be created.
    """
    for directory in (data_directory(), target.directory):
        make_private(directory)


@contextmanager
def working_directory_lock(directory: Path) -> Iterator[None]:
    """Keep other processes from opening or resetting a working directory meanwhile.

    dlt takes a directory without state for a new one, and empties it. Opened while a job of another
    process resets it, the job would lose its files.

    Raises:
        BusyError: another process has it for longer than such a step can take.
    """
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(f"{directory}.lock", timeout=_OPENING_S, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"Another process is opening the pipeline in {directory}. Run again; if it hangs, kill "
            "its process."
        ) from None
    try:
        yield
    finally:
        lock.release()


def discard_damaged_state(directory: Path) -> None:
    """Remove a working directory whose state or schemas are missing or not JSON.

    A power cut may leave such files.

    Args:
        directory: of one pipeline; it may not exist.

    Raises:
        OSError: a file cannot be read, or the directory cannot be removed.
    """
    state = directory / "state.json"
    if not state.is_file():
        return
    schemas = {*directory.glob("schemas/*.json")}
    schemas |= {
        directory / f"schemas/{name}.schema.json" for name in _read(state).get("schema_names", ())
    }
    damaged = [path for path in (state, *sorted(schemas)) if not _read(path)]
    if damaged:
        names = ", ".join(path.name for path in damaged)
        logger.warning("dlt's local state is damaged (%s) and is made again.", names)
        shutil.rmtree(directory)


def _read(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if it is missing or damaged."""
    try:
        content = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def remove_loaded_packages(directory: Path) -> None:
    """Remove the packages that are in the destination: dlt would keep them until the next job."""
    for package in directory.glob("load/loaded/*"):
        shutil.rmtree(package, ignore_errors=True)
