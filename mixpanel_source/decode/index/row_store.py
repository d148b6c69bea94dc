"""What identifies the rows of a window, in memory for a small window and in a file for a big one.

A file is written without a name, so that nothing of it is left when the process ends. It holds each
row twice: in the order of the rows, to be read again block by block; and by a hash of its key, so
that rows with the same key are in the same partition and duplicates are found one partition after
the other. So memory does not grow with the rows.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import constants
from ...errors import MixpanelError
from ..json_values import DIGEST_BYTES
from .identity import Identities

WORDS = DIGEST_BYTES // 8
"""A key is compared as this many 64-bit words."""
ROW = np.dtype(
    [
        ("key", np.uint64, (WORDS,)),
        ("rank", np.int64),
        ("day", np.int32),
        ("numbered", np.bool_),
        ("rejected", np.bool_),
    ]
)
"""A row, packed: see `identity.Identity`."""
Rows = NDArray[np.void]
"""Rows of type `ROW`."""

_PARTITIONS = 64
"""Of 345 million rows, each has five million, which take 400 MB while they are sorted."""
_PARTITION_BITS = np.uint64(6)
_PLACED = np.dtype([("row", ROW), ("position", np.int64)])


class Partition(NamedTuple):
    """All rows with some of the keys."""

    rows: Rows
    positions: NDArray[np.int64]
    """Of the rows in the window, ascending."""


class RowStore:
    """The rows of a window, by their positions from 0."""

    def __init__(self, directory: Path | None = None) -> None:
        """Start without rows.

        Args:
            directory: on whose disk a file is made; that of temporary files if not given.
        """
        self._directory = directory
        self._pending = bytearray()
        self._file: _RowFile | None = None
        self._stored = 0
        """Rows in the file; those in memory follow."""
        self._partitioned: _PartitionFile | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return self._stored + len(self._pending) // ROW.itemsize

    def extend(self, identities: Identities) -> None:
        """Append rows.

        Raises:
            MixpanelError: the disk is full or not writable.
        """
        rows = np.empty(len(identities.days), ROW)
        rows["key"] = identities.keys.view(np.uint64)
        rows["rank"], rows["day"] = identities.ranks, identities.days
        rows["numbered"], rows["rejected"] = identities.numbered, identities.rejected
        self.append(rows)

    def append(self, rows: Rows) -> None:
        """Append rows of type `ROW`.

        Raises:
            MixpanelError: the disk is full or not writable.
        """
        self._pending += rows.tobytes()
        if len(self._pending) >= constants.INDEX_ROWS * ROW.itemsize:
            self._spill()

    def partitions(self) -> Iterator[Partition]:
        """Yields all rows; those with the same key together.

        Rows are not appended afterwards.

        Raises:
            MixpanelError: the disk is full or not writable.
        """
        if self._file is None:
            yield Partition(self.read(0, len(self)), np.arange(len(self), dtype=np.int64))
            return
        self._finish_file()
        if self._partitioned is not None:
            yield from self._partitioned.read_all()
            self._partitioned = None

    def chunks(self) -> Iterator[tuple[int, Rows]]:
        """Yields all rows in their order, as many at once as memory is meant for.

        Each chunk comes with the position of its first row. Rows are not appended meanwhile.

        Raises:
            MixpanelError: the disk is full or not writable.
        """
        self._finish_file()
        for start in range(0, len(self), constants.INDEX_ROWS):
            yield start, self.read(start, min(start + constants.INDEX_ROWS, len(self)))

    def read(self, start: int, end: int) -> Rows:
        """The rows at positions [start, end); may be called on any thread."""
        if self._file is None:
            return np.frombuffer(self._pending, ROW)[start:end]
        if end > self._stored:
            raise ValueError("rows are still being appended")
        size = ROW.itemsize
        return np.frombuffer(self._file.read(start * size, (end - start) * size), ROW)

    def take(self, positions: NDArray[np.int64]) -> Rows:
        """The rows at some positions, which are close together or not many."""
        if not len(positions):
            return np.empty(0, ROW)
        first, last = int(positions.min()), int(positions.max())
        if last - first < constants.INDEX_ROWS:
            return self.read(first, last + 1)[positions - first]
        taken = np.empty(len(positions), ROW)
        for start, rows in self.chunks():
            here = (positions >= start) & (positions < start + len(rows))
            taken[here] = rows[positions[here] - start]
        return taken

    def save(self, path: Path) -> None:
        """Write all rows to a file, which `open` takes.

        Raises:
            OSError: the disk is full or not writable.
        """
        with path.open("wb") as file:
            for _, rows in self.chunks():
                file.write(rows.tobytes())

    @classmethod
    def open(cls, path: Path) -> RowStore:
        """The rows in a file of `save`, which may be deleted meanwhile.

        Raises:
            OSError: it cannot be read.
        """
        store = cls(path.parent)
        store._file = _RowFile(os.open(path, os.O_RDONLY))
        store._stored = path.stat().st_size // ROW.itemsize
        return store

    def set_key(self, position: int, key: bytes) -> None:
        """Replace the key of a row."""
        at = position * ROW.itemsize
        if self._file is None:
            self._pending[at : at + len(key)] = key
        else:
            self._file.replace(at, key)

    def _finish_file(self) -> None:
        """Move the last rows to the file, if there is one."""
        if self._file is not None and self._pending:
            self._spill()

    def _spill(self) -> None:
        """Move the rows from memory to the file."""
        rows = np.frombuffer(self._pending, ROW)
        try:
            if self._file is None:
                self._file = _RowFile.unnamed(self._directory)
                self._partitioned = _PartitionFile(self._directory)
            if self._partitioned is not None:
                self._partitioned.append(rows, self._stored)
            self._file.append(self._pending)
        except OSError as error:
            raise MixpanelError(
                f"The index of a window cannot be written to {self._directory}: {error.strerror}. "
                "Make room, or set DLT_DATA_DIR to a directory on another disk."
            ) from error
        self._stored += len(rows)
        # a new object: arrays that share the memory of the old one may still be in use
        self._pending = bytearray()


class _PartitionFile:
    """A file of runs, each of which holds some rows ordered by partition."""

    def __init__(self, directory: Path | None) -> None:
        self._file = _RowFile.unnamed(directory)
        self._starts: list[NDArray[np.int64]] = []
        """Of each run: where each of its partitions begins, and the last one ends, in rows."""
        self._rows = 0

    def append(self, rows: Rows, first_position: int) -> None:
        """Write a run.

        Args:
            rows: of the run.
            first_position: of the first row, the others follow it.
        """
        numbers = (rows["key"][:, 0] >> (np.uint64(64) - _PARTITION_BITS)).astype(np.uint8)
        order = np.argsort(numbers, kind="stable")
        placed = np.empty(len(rows), _PLACED)
        placed["row"], placed["position"] = rows[order], order + first_position
        self._file.append(placed.data.cast("B"))
        counts = np.bincount(numbers, minlength=_PARTITIONS)
        self._starts.append(self._rows + np.concatenate(([0], np.cumsum(counts))))
        self._rows += len(rows)

    def read_all(self) -> Iterator[Partition]:
        """Yields the partitions."""
        for number in range(_PARTITIONS):
            placed = np.frombuffer(b"".join(self._iter_runs(number)), _PLACED)
            yield Partition(placed["row"], np.ascontiguousarray(placed["position"]))

    def _iter_runs(self, number: int) -> Iterator[bytes]:
        size = _PLACED.itemsize
        for starts in self._starts:
            start, end = int(starts[number]), int(starts[number + 1])
            yield self._file.read(start * size, (end - start) * size)


class _RowFile:
    """An open file, which is closed with this object."""

    def __init__(self, number: int) -> None:
        """Take over a file descriptor."""
        self._number = number
        weakref.finalize(self, os.close, number)

    @classmethod
    def unnamed(cls, directory: Path | None) -> _RowFile:
        """A file that goes with this object."""
        with tempfile.TemporaryFile(dir=directory) as file:
            return cls(os.dup(file.fileno()))

    def append(self, content: bytearray | memoryview) -> None:
        """Write bytes at the end."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._number, rest) :]

    def replace(self, at: int, content: bytes) -> None:
        """Write bytes in place of others."""
        os.pwrite(self._number, content, at)

    def read(self, at: int, size: int) -> bytes:
        """The bytes at a place; may be called on any thread."""
        pieces: list[bytes] = []
        while size:
            # a system reads two gigabytes at once at most
            piece = os.pread(self._number, size, at)
            if not piece:
                raise MixpanelError("The index of a window is cut short on disk. Run again.")
            pieces.append(piece)
            at, size = at + len(piece), size - len(piece)
        return b"".join(pieces)
