"""Opens archives: to write one during a job, and to load from one without a request."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from typing import Any

from ...config.model import Config
from ...config.parsers import parse_directory
from ...errors import ConfigError, MixpanelError
from .archive import MANIFEST, TABLES, Archive
from .manifest import Manifest, parse_manifest
from .storage import Storage, open_storage

logger = logging.getLogger("mixpanel_source")


def open_archive(config: Config, *, locks: bool) -> Archive:
    """The archive that a run with these settings writes; made if the directory is new or empty.

    Args:
        config: the settings.
        locks: whether to keep other processes from writing it until it is closed.

    Raises:
        ConfigError: the directory holds something else, another project, or what was requested
            with other filters.
        BusyError: another process writes it.
        MixpanelError: it cannot be read or written.
    """
    storage = open_storage(config.archive or "")
    with ExitStack() as stack, storage.errors("written"):
        if storage.read(MANIFEST) is None and not storage.is_empty():
            raise ConfigError(
                f"{storage.location} holds files, but no {MANIFEST} of an archive. Choose another "
                "directory."
            )
        storage.prepare()
        lock = storage.lock() if locks else None
        if lock is not None:
            stack.callback(lock.release)
            storage.clean()
        # only now: another process may have written until it released the lock
        archive = Archive(storage, _read_manifest(storage) or Manifest(config.project_id))
        archive.check_filters(config)
        archive.begin_writing(config, lock)
        stack.pop_all()
    return archive


def read_archive(directory: str | Path) -> Archive:
    """The archive in a directory, to load from.

    Raises:
        ConfigError: there is none.
        MixpanelError: its manifest is damaged or cannot be read.
    """
    storage = open_storage(parse_directory("--from-archive", directory))
    found = _read_manifest(storage)
    if found is None:
        raise ConfigError(
            f"There is no archive in {storage.location}: it has no {MANIFEST}. Give a directory "
            "that mixpanel-source archive --to, or sync --archive, has written."
        )
    return Archive(storage, found)


def archive_settings(archive: Archive | None) -> dict[str, Any]:
    """Settings that an archive takes the place of, for a load that makes no request."""
    if archive is None:
        return {}
    # nobody may know the secret: the spool is encrypted with it
    return {"username": "archive", "secret": token_hex(), "project_id": archive.project_id}


def select_archived(tables: Sequence[str], archive: Archive) -> list[str]:
    """Those of the tables that an archive has files of.

    Raises:
        ConfigError: no archive can hold one of them, or this one holds none.
    """
    if others := [table for table in tables if table not in TABLES]:
        raise ConfigError(
            f"--tables: an archive holds {' and '.join(TABLES)} only, and not "
            f"{', '.join(others)}. Load other tables without --from-archive."
        )
    held = [table for table in tables if archive.days(table)]
    if not held:
        raise ConfigError(f"The archive {archive.location} has no files of {', '.join(tables)}.")
    for table in tables:
        if table not in held:
            logger.warning("%s: the archive has no files of it, so it is not loaded.", table)
    return held


def _read_manifest(storage: Storage) -> Manifest | None:
    content = storage.read(MANIFEST)
    try:
        return None if content is None else parse_manifest(content)
    except ValueError as error:
        raise MixpanelError(
            f"{storage.describe(MANIFEST)} is damaged, was changed, or is of a newer version. "
            "Restore it from a copy."
        ) from error
