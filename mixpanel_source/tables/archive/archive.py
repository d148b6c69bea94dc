"""An archive on disk: what Mixpanel served, a compressed file for each day, and a manifest.

A file is written under a provisional name, flushed and renamed; then the manifest is replaced. So
whenever the process is killed, each file that the manifest lists is whole. Before an existing file
is replaced, the manifest names both versions, and the one that is there counts.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from hashlib import sha256
from typing import Any

from ...config.model import Config
from ...decode.index.row_index import RowIndex
from ...destinations.file_lock import LockedFile
from ...errors import ConfigError, MixpanelError
from ...windows import settled_on
from ..events.archive_guard import find_kept_days
from ..load_log import date_in_utc
from ..spool.files import CHUNK_BYTES, Spooled, SpooledParts
from .manifest import SUFFIX, ArchivedFile, Manifest
from .storage import Storage

logger = logging.getLogger("mixpanel_source")

EVENTS, PROFILES = "export", "engage"
TABLES = (EVENTS, PROFILES)
"""The tables that an archive can hold."""
MANIFEST = "manifest.json"
_GZIP = 16 + zlib.MAX_WBITS


class Archive:
    """The files of one project."""

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        """Use what a directory holds; see `opening.open_archive` and `opening.read_archive`."""
        self.location = storage.location
        self._storage = storage
        self.project_id = manifest.project_id
        self._manifest = manifest
        self._lock: LockedFile | None = None
        self._lookback_days = 0
        self._accepts_deletions = False
        self._settle()

    def find(self, table: str, day: date) -> ArchivedFile | None:
        """The file of a day, or None."""
        return self._manifest.files.get((table, day))

    def days(self, table: str) -> list[date]:
        """The days of a table that there is a file for, ascending."""
        return sorted(day for held, day in self._manifest.files if held == table)

    @property
    def tables(self) -> list[str]:
        """The tables that it has files of."""
        return [table for table in TABLES if self.days(table)]

    def newest(self, table: str) -> ArchivedFile | None:
        """The file of the newest day, or None."""
        days = self.days(table)
        return self.find(table, days[-1]) if days else None

    def is_due(self, day: date, today: date) -> bool:
        """Whether the events of a day have to be requested.

        Args:
            day: to archive.
            today: the date (UTC) now; what was read today is not read again.
        """
        file = self.find(EVENTS, day)
        if file is None:
            return True
        read_on = date_in_utc(file.confirmed_at)
        return read_on < min(settled_on(day, lookback_days=self._lookback_days), today)

    def check_filters(self, config: Config, tables: Iterable[str] = TABLES) -> None:
        """Check that files have what a run with these settings would request.

        Raises:
            ConfigError: they are of another project, or were requested with other filters.
        """
        if config.project_id != self.project_id:
            raise ConfigError(
                f"The archive {self.location} holds project {self.project_id}, and project_id is "
                f"{config.project_id}. Choose another directory."
            )
        wanted = _filters(config)
        for table in tables:
            held = self._manifest.filters.get(table, wanted[table])
            names = {*held, *wanted[table]}
            if names := {name for name in names if held.get(name) != wanted[table].get(name)}:
                prefix = "" if table == EVENTS else "engage_"
                settings = ", ".join(sorted(f"{prefix}{name}" for name in names))
                raise ConfigError(
                    f"The archive {self.location} was made with other values of {settings}. Use "
                    "the same ones, or another directory."
                )

    def chunks(self, file: ArchivedFile) -> Iterator[bytes]:
        """The bytes of a file.

        Raises:
            MixpanelError: at the end, if they are not those that were archived; or the file cannot
                be read.
        """
        digest = sha256()
        with self._storage.errors("read", file.path), self._storage.open(file.path) as opened:
            while chunk := opened.read(CHUNK_BYTES):
                digest.update(chunk)
                yield chunk
        if digest.hexdigest() != file.sha256:
            raise self.damaged(file)

    def damaged(self, file: ArchivedFile) -> MixpanelError:
        """The error for a file that is not as it was archived."""
        return MixpanelError(
            f"{self._storage.describe(file.path)} is damaged or was changed: it is not the file "
            f"that {MANIFEST} describes. Nothing of it is loaded. Restore it from a copy, or "
            "delete its entry there and archive the day again."
        )

    def keep(self, table: str, day: date, spooled: Spooled | SpooledParts, index: RowIndex) -> None:
        """Add what was fetched, in place of what was archived of the same day before.

        A settled day that Mixpanel serves with markedly fewer events than the file has keeps its
        file, unless deletions are accepted.

        Args:
            table: `export` or `engage`.
            day: of the events, or on which the profiles were read.
            spooled: the verified reply.
            index: of its rows.

        Raises:
            MixpanelError: the directory cannot be written.
        """
        held = self.find(table, day)
        if held is not None and held.confirmed_at >= spooled.fetched_at:
            return
        if held is not None and self._stays(held, spooled, index):
            self._list(replace(held, confirmed_at=spooled.fetched_at))
            return
        with self._storage.errors("written"):
            self._replace(held, self._write(table, day, spooled, index))

    def close(self) -> None:
        """Let others write."""
        if self._lock is not None:
            self._lock.release()

    def _stays(self, held: ArchivedFile, spooled: Spooled | SpooledParts, index: RowIndex) -> bool:
        if held.table != EVENTS or self._accepts_deletions:
            return False
        served = len(index) - len(index.dropped)
        kept = find_kept_days(
            {held.day: held.rows - held.duplicates},
            {held.day: served},
            read_on=date_in_utc(spooled.fetched_at),
            lookback_days=self._lookback_days,
        )
        for day, (before, now) in kept.items():
            logger.warning(
                "export %s: Mixpanel serves %s of the %s events archived. The file stays; if the "
                "deletion is meant, archive the day again with accept_deletions.",
                day,
                f"{now:,}",
                f"{before:,}",
            )
        return bool(kept)

    def _write(
        self, table: str, day: date, spooled: Spooled | SpooledParts, index: RowIndex
    ) -> ArchivedFile:
        """Write a file that has its name only after `_replace`."""
        digest, size = sha256(), 0

        def measured() -> Iterator[bytes]:
            nonlocal size
            for chunk in _compressed(spooled):
                digest.update(chunk)
                size += len(chunk)
                yield chunk

        self._storage.write(f"{table}/{day}{SUFFIX}", measured())
        return ArchivedFile(
            table=table,
            day=day,
            rows=len(index),
            duplicates=len(index.dropped),
            bytes=size,
            lines_bytes=spooled.lines_bytes,
            sha256=digest.hexdigest(),
            fetched_at=spooled.fetched_at,
            confirmed_at=spooled.fetched_at,
        )

    def _replace(self, held: ArchivedFile | None, file: ArchivedFile) -> None:
        """Give a file that was written its name."""
        key = file.table, file.day
        if held is not None:
            self._manifest.replacing[key] = file
            self._save()
        self._storage.commit(file.path)
        self._manifest.replacing.pop(key, None)
        self._list(file)

    def _list(self, file: ArchivedFile) -> None:
        self._manifest.files[file.table, file.day] = file
        self._save()

    def _save(self) -> None:
        with self._storage.errors("written"):
            self._storage.replace(MANIFEST, self._manifest.dump())

    def _settle(self) -> None:
        """Find out which version of a file is there that was being replaced at a crash."""
        for key, file in self._manifest.replacing.items():
            try:
                for _ in self.chunks(file):
                    pass
            except MixpanelError:
                continue
            self._manifest.files[key] = file
        self._manifest.replacing.clear()

    def begin_writing(self, config: Config, lock: LockedFile | None) -> None:
        """Write with these settings, under a lock that `close` releases."""
        self._lock = lock
        self._lookback_days = config.lookback_days
        self._accepts_deletions = config.accept_deletions
        self._manifest.filters |= _filters(config)


def _filters(config: Config) -> dict[str, dict[str, Any]]:
    """Table -> the filters of its requests with these settings."""
    return {EVENTS: config.filters, PROFILES: config.profile_filters}


def _compressed(spooled: Spooled | SpooledParts) -> Iterator[bytes]:
    """The file as gzip; as it was served, if Mixpanel compressed it."""
    if spooled.gzipped:
        yield from spooled.chunks()
        return
    compressor = zlib.compressobj(wbits=_GZIP)
    for chunk in spooled.chunks():
        yield compressor.compress(chunk)
    yield compressor.flush()
