"""Windows on disk: a directory of files, each of which is complete.

A reply is written as it arrives, compressed if Mixpanel compressed it, under a provisional name.
Once it is verified, `Spool.keep` gives the file its name and its description. What is spooled and
not yet loaded is found again after a crash, so that nothing is requested from Mixpanel twice.

A power cut may leave any part of a file unwritten. So files are flushed to the disk before their
description, which holds their size and checksum; both are compared whenever a file is read.

The directory is readable by its owner only. It holds data, never credentials.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from glob import escape
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from isal import isal_zlib

from .. import constants
from ..decode.framing import inflate, iter_row_blocks
from ..errors import MixpanelError, TruncatedError
from ..files import create_private, flush_to_disk, make_private, replace_durably

CHUNK_BYTES = 256 * 1024


class Fingerprint(NamedTuple):
    """Tells a file from what a power cut may leave of it."""

    size: int = 0
    """Bytes."""
    checksum: int = 0
    """CRC-32."""

    def extended(self, chunk: bytes) -> Fingerprint:
        """The fingerprint of the file with another chunk at its end."""
        return Fingerprint(self.size + len(chunk), isal_zlib.crc32(chunk, self.checksum))


@dataclass(frozen=True)
class Spooled:
    """The file of a verified window, and its description."""

    path: Path
    fingerprint: Fingerprint
    """Of the file."""
    gzipped: bool
    fetched_at: float
    """When the reply that was spooled began, in seconds since the epoch."""
    requests: int = 1
    """Number of requests it took, including failed ones."""
    lines_bytes: int = 0
    """Uncompressed bytes of the lines."""

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they were received.

        Raises:
            TruncatedError: at the end, if they are not those that were written.
        """
        read = Fingerprint()
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                read = read.extended(chunk)
                yield chunk
        if read != self.fingerprint:
            raise TruncatedError(
                f"{self.path.name} changed on disk after it was verified. Run again."
            )

    def row_blocks(self) -> Iterator[bytes]:
        """Blocks of rows in the order Mixpanel sent them, see `framing.iter_row_blocks`."""
        return iter_row_blocks(inflate(self.chunks()) if self.gzipped else self.chunks())


@dataclass(frozen=True)
class SpooledParts:
    """A verified window whose lines are in several files, one after the other; see `Spooled`."""

    files: tuple[Spooled, ...]

    @property
    def path(self) -> Path:
        """The first file."""
        return self.files[0].path

    @property
    def gzipped(self) -> bool:
        """False: the files are not one compressed stream."""
        return False

    @property
    def fetched_at(self) -> float:
        """When the first reply began, in seconds since the epoch."""
        return min(file.fetched_at for file in self.files)

    @property
    def requests(self) -> int:
        """Number of requests that all files took, including failed ones."""
        return sum(file.requests for file in self.files)

    @property
    def lines_bytes(self) -> int:
        """Uncompressed bytes of the lines."""
        return sum(file.lines_bytes for file in self.files)

    def chunks(self) -> Iterator[bytes]:
        """The lines of all files, uncompressed."""
        for file in self.files:
            end = b"\n"
            for chunk in inflate(file.chunks()) if file.gzipped else file.chunks():
                end = chunk[-1:] or end
                yield chunk
            if end != b"\n":
                yield b"\n"

    def row_blocks(self) -> Iterator[bytes]:
        """Blocks of rows, file by file."""
        for file in self.files:
            yield from file.row_blocks()


class Spool:
    """A directory of verified windows, each under a name made from its request."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which is created when the first window arrives."""
        self.directory = directory
        self._written: dict[str, Fingerprint] = {}
        """Provisional file -> its fingerprint, once it is complete."""

    def find(self, name: str) -> Spooled | None:
        """The window of that name, or None if it is not here."""
        try:
            described = json.loads(self._description(name).read_bytes())
            fingerprint = Fingerprint(*described.pop("fingerprint"))
            found = Spooled(**described, path=self._bytes(name), fingerprint=fingerprint)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return found if found.path.exists() else None

    def write(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yields `chunks` while writing them under a provisional name, then flushes them to disk.

        The file is deleted if the iteration ends early.

        Raises:
            MixpanelError: the disk is full or not writable.
        """
        with self._writing():
            make_private(self.directory)
            file = create_private(self._provisional(name))
        written, whole, checked_at = Fingerprint(), False, 0
        try:
            with file:
                for chunk in chunks:
                    with self._writing():
                        file.write(chunk)
                        if written.size - checked_at > constants.DISK_CHECK_BYTES:
                            checked_at = written.size
                            self._check_room()
                    written = written.extended(chunk)
                    yield chunk
                with self._writing():
                    flush_to_disk(file)
            self._written[name], whole = written, True
        finally:
            if not whole:
                self._provisional(name).unlink(missing_ok=True)

    def keep(
        self, name: str, *, gzipped: bool, fetched_at: float, requests: int, lines_bytes: int
    ) -> Spooled:
        """Give the file of `write` its name, now that it is verified.

        Args:
            name: of the window.
            gzipped: see `Spooled`, as the others.
            fetched_at: in seconds since the epoch.
            requests: including failed ones.
            lines_bytes: uncompressed.

        Raises:
            MixpanelError: the disk is full or not writable.
        """
        fingerprint = self._written.pop(name)
        path = self._bytes(name)
        spooled = Spooled(path, fingerprint, gzipped, fetched_at, requests, lines_bytes)
        description = {key: value for key, value in asdict(spooled).items() if key != "path"}
        with self._writing():
            self._description(name).unlink(missing_ok=True)
            self._provisional(name).replace(path)
            # the description comes last, and at once or not at all: only with it a window counts
            replace_durably(self._description(name), json.dumps(description).encode())
        return spooled

    def names(self, start: str) -> set[str]:
        """The names of the windows whose names begin with `start`."""
        return {path.stem for path in self.directory.glob(f"{escape(start)}*.json")}

    def remove(self, name: str) -> None:
        """Delete a window, if it is here."""
        for path in self.directory.glob(f"{escape(name)}.*"):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all windows."""
        for path in self.directory.glob("*"):
            path.unlink(missing_ok=True)

    def _check_room(self) -> None:
        if shutil.disk_usage(self.directory).free < constants.DISK_RESERVE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MixpanelError(
                f"The spool directory {self.directory} cannot be written: {error.strerror}. Make "
                "room, or set DLT_DATA_DIR to a directory on another disk."
            ) from error

    def _bytes(self, name: str) -> Path:
        return self.directory / f"{name}.jsonl"

    def _description(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def _provisional(self, name: str) -> Path:
        return self.directory / f"{name}.part"


def spool_name(*parts: object) -> str:
    """A file name for a request: two readable parts, then a digest of all parts."""
    readable = "-".join(str(part) for part in parts[:2])
    digest = blake2b(json.dumps([str(part) for part in parts]).encode(), digest_size=6).hexdigest()
    return f"{readable}-{digest}"
