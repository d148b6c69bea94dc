"""The files of verified windows, and how they are read.

A file is compared with its fingerprint whenever it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from ... import constants
from ...decode.framing import inflate, iter_row_blocks
from ...errors import TruncatedError
from .cipher import Seal, SpoolCipher

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


class RowSource(Protocol):
    """Where the rows of a verified window are."""

    @property
    def path(self) -> Path:
        """The file, or the first one."""

    def row_blocks(self) -> Iterator[bytes]:
        """Blocks of rows in the order Mixpanel sent them, see `framing.iter_row_blocks`."""


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
    seal: Seal | None = None
    """Of an encrypted file."""
    cipher: SpoolCipher | None = field(default=None, repr=False, compare=False)
    """What it was encrypted with."""

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they were received.

        Raises:
            TruncatedError: at the end, if they are not those that were written.
        """
        stored = self._stored_chunks()
        if self.cipher is None or self.seal is None:
            return stored
        return self.cipher.decrypt(stored, self.seal)

    def _stored_chunks(self) -> Iterator[bytes]:
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


@dataclass(frozen=True)
class SelectedRows:
    """Some rows of a verified window that has one row on each line."""

    spooled: Spooled
    """All rows."""
    positions: NDArray[np.int64]
    """Of the selected ones, ascending."""
    row_count: int
    """Number of all rows."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.spooled.path

    def row_blocks(self) -> Iterator[bytes]:
        """Blocks of the selected rows.

        Raises:
            TruncatedError: at the end, if the file does not have its rows.
        """
        gathered: list[bytes] = []
        size = start = 0
        for block in self.spooled.row_blocks():
            end = start + block.count(b"\n")
            first, last = np.searchsorted(self.positions, (start, end))
            if first < last:
                lines = block.split(b"\n")
                chosen = [lines[number] for number in self.positions[first:last] - start]
                gathered += chosen
                size += sum(map(len, chosen))
            if size >= constants.BLOCK_BYTES:
                yield b"\n".join([*gathered, b""])
                gathered, size = [], 0
            start = end
        if gathered:
            yield b"\n".join([*gathered, b""])
        if start != self.row_count:
            raise TruncatedError(
                f"{self.path.name} changed on disk after it was verified. Run again."
            )
