"""The rows of a window by their keys: which are duplicates, and which day each is filed under.

Pure but for the file of `row_store`. Of a window with more than `constants.INDEX_ROWS` rows only
the duplicates and the rejected rows are in memory.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...windows import Window
from ..event_time import EPOCH_ORDINAL, NO_DAY, day_number
from ..json_values import content_digest
from .identity import KEY_BYTES, Identities
from .row_store import Partition, Rows, RowStore


class SavedIndex(NamedTuple):
    """An index whose rows are in a file, for another process."""

    path: Path
    dropped: NDArray[np.int64]
    duplicates: NDArray[np.int64]
    rejected: NDArray[np.int64]


class RowIndex:
    """The identities of a window's rows, in the order of the rows.

    A row is named by its position in the window, from 0.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Start without rows.

        Args:
            directory: on whose disk a big index is kept.
        """
        self.window: Window | None = None
        """That the rows were requested for, and are filed under days of."""
        self.dropped: NDArray[np.int64] = np.empty(0, np.int64)
        """Positions of the rows to drop, ascending."""
        self.duplicates: NDArray[np.int64] = np.empty((0, 2), np.int64)
        """Shape (duplicates, 2): the positions of each, and of the row kept instead."""
        self._store = RowStore(directory)
        self._rejected: array[int] = array("q")

    def __len__(self) -> int:
        """The number of rows, dropped ones included."""
        return len(self._store)

    def extend(self, identities: Identities) -> None:
        """Append rows.

        Raises:
            MixpanelError: the disk is full or not writable.
        """
        self._note_rejected(identities.rejected)
        self._store.extend(identities)

    def join(self, other: RowIndex) -> None:
        """Append the rows of another index, whose duplicates are not resolved."""
        for _, rows in other._store.chunks():
            self._note_rejected(rows["rejected"])
            self._store.append(rows)

    def save(self, path: Path) -> SavedIndex:
        """Write a resolved index to a file.

        Raises:
            OSError: the disk is full or not writable.
        """
        self._store.save(path)
        return SavedIndex(path, self.dropped, self.duplicates, np.array(self.rejected))

    @classmethod
    def restore(cls, saved: SavedIndex) -> RowIndex:
        """The index that was saved.

        Raises:
            OSError: its file cannot be read.
        """
        index = cls()
        index._store = RowStore.open(saved.path)
        index.dropped, index.duplicates = saved.dropped, saved.duplicates
        index._rejected = array("q", saved.rejected.tolist())
        return index

    def _note_rejected(self, rejected: NDArray[np.bool_]) -> None:
        self._rejected.frombytes((np.flatnonzero(rejected) + len(self)).tobytes())

    def resolve_duplicates(self) -> None:
        """Among rows with the same key, decide which to drop and give new keys to those numbered.

        Kept is the row with the greatest rank; of equal ranks, the last one. Done once, when all
        rows are here.
        """
        pairs = [self._resolve_partition(partition) for partition in self._store.partitions()]
        self.duplicates = np.concatenate([self.duplicates, *pairs])
        self.dropped = np.sort(self.duplicates[:, 0])
        self.drop(self.rejected)

    def _resolve_partition(self, partition: Partition) -> NDArray[np.int64]:
        """The duplicates of a partition, see `duplicates`."""
        possible = _possible_duplicates(partition.rows)
        rows, positions = partition.rows[possible], partition.positions[possible]
        words = rows["key"].T
        # sorts by key, then rank, then position: lexsort takes its most significant key last
        order = np.lexsort((positions, rows["rank"], *words))
        rows, positions, words = rows[order], positions[order], words[:, order]
        # i is a repeat if row i + 1 has the same key as row i, and so outranks it
        repeats = np.flatnonzero((words[:, 1:] == words[:, :-1]).all(axis=0))
        numbered = rows["numbered"][repeats + 1]
        # all rejected rows have the same key, which means nothing
        repeated = repeats[~numbered & ~rows["rejected"][repeats]]
        self._number_rows(positions, repeats[numbered], rows)
        return np.stack((positions[repeated], positions[_ends_of_runs(repeated)]), 1)

    @property
    def rejected(self) -> NDArray[np.int64]:
        """The positions of the rejected rows, ascending; they are dropped as well."""
        return np.frombuffer(self._rejected, np.int64)

    def is_rejected_of(self, window: Window) -> NDArray[np.bool_]:
        """For each rejected row whether its own day lies in a window, or is not known."""
        days = self._store.take(self.rejected)["day"]
        first, last = map(day_number, window)
        own: NDArray[np.bool_] = (days == NO_DAY) | ((days >= first) & (days <= last))
        return own

    def outside(self, window: Window) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Positions and own days of the rows that are not dropped and whose day is outside."""
        positions, own_days = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
        for start, rows in self._store.chunks():
            days = rows["day"]
            found = days != _filed(days, window)
            found[self.dropped_between(start, start + len(rows))] = False
            here = np.flatnonzero(found)
            positions.append(here + start)
            own_days.append(days[here])
        return np.concatenate(positions), np.concatenate(own_days)

    def positions_of(self, days: Iterable[date]) -> NDArray[np.int64]:
        """The positions of the rows that are filed under some days."""
        numbers = [*map(day_number, days)]
        found = [
            np.flatnonzero(np.isin(_filed(rows["day"], self.window), numbers)) + start
            for start, rows in self._store.chunks()
        ]
        return np.concatenate([np.empty(0, np.int64), *found])

    def drop(self, positions: NDArray[np.int64]) -> None:
        """Drop further rows."""
        self.dropped = np.union1d(self.dropped, positions)

    def present(self) -> NDArray[np.int64]:
        """The positions of the rows that are not dropped, ascending."""
        return np.delete(np.arange(len(self), dtype=np.int64), self.dropped)

    def ranks(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ranks of the rows at `positions`."""
        return np.ascontiguousarray(self._store.take(positions)["rank"])

    def first_words(self, positions: NDArray[np.int64] | None = None) -> NDArray[np.uint64]:
        """The first 64 bits of the keys of the rows at `positions`, or of all."""
        if positions is not None:
            return np.ascontiguousarray(self._store.take(positions)["key"][:, 0])
        words = [rows["key"][:, 0] for _, rows in self._store.chunks()]
        return np.concatenate([np.empty(0, np.uint64), *words])

    def dropped_between(self, start: int, end: int) -> NDArray[np.int64]:
        """The rows to drop at positions [start, end), counted from `start`."""
        first, last = np.searchsorted(self.dropped, (start, end))
        return self.dropped[first:last] - start

    def hex_keys(self, positions: pa.Array) -> pa.Array:
        """The keys of the rows at `positions` (int64) as hexadecimal text (string)."""
        keys = self._store.take(np.asarray(positions))["key"]
        # all texts are equally long, so the offsets of the arrow array are known beforehand
        offsets = np.arange(len(keys) + 1, dtype=np.int32) * (2 * KEY_BYTES)
        text = pa.py_buffer(keys.tobytes().hex().encode())
        return pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), text)

    def date_array(self, positions: pa.Array) -> pa.Array:
        """The days of the rows at `positions` (int64) as dates (date32)."""
        days = _filed(self._store.take(np.asarray(positions))["day"], self.window)
        return pa.array(days, pa.int32()).cast(pa.date32())

    def rows_by_day(
        self, positions: NDArray[np.int64] | None = None, *, window: Window | None = None
    ) -> dict[date, int]:
        """Day -> rows filed under it, of those at `positions`, or of all but those to drop.

        Args:
            positions: of the rows to count.
            window: count the rows as if they were filed under days of it.
        """
        window, counted = window or self.window, Counter[int]()
        for start, rows in self._store.chunks():
            end = start + len(rows)
            if positions is None:
                days = np.delete(rows["day"], self.dropped_between(start, end))
            else:
                first, last = np.searchsorted(positions, (start, end))
                days = rows["day"][positions[first:last] - start]
            numbers, counts = np.unique(_filed(days, window), return_counts=True)
            counted.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        return {date.fromordinal(day + EPOCH_ORDINAL): counted[day] for day in sorted(counted)}

    def greatest_ranks(self) -> dict[int, int]:
        """Day, in days since 1970-01-01 -> the greatest rank of the rows filed under it."""
        found: dict[int, int] = {}
        for _, rows in self._store.chunks():
            days, numbers = np.unique(_filed(rows["day"], self.window), return_inverse=True)
            greatest = np.zeros(len(days), np.int64)
            np.maximum.at(greatest, numbers, rows["rank"])
            for day, rank in zip(days.tolist(), greatest.tolist(), strict=True):
                found[day] = max(rank, found.get(day, 0))
        return found

    def _number_rows(
        self, positions: NDArray[np.int64], repeats: NDArray[np.int64], rows: Rows
    ) -> None:
        """Give a key of its own to each row after the first with a key.

        Args:
            positions: of rows sorted by key.
            repeats: ascending; i is among them if row i + 1 has the same key as row i.
            rows: at these positions.
        """
        number, before = 0, -1
        for row in repeats.tolist():
            # consecutive repeats are one run of equal keys
            number = number + 1 if row == before + 1 else 1
            before = row
            key = rows["key"][row + 1].tobytes()
            self._store.set_key(int(positions[row + 1]), content_digest([key.hex(), number]))


def _filed(days: NDArray[np.int32], window: Window | None) -> NDArray[np.int32]:
    """Own days of rows, moved to the nearest day of a window.

    Rows without a time have the first day of the window.
    """
    if window is None:
        return days
    return np.clip(days, day_number(window.first), day_number(window.last))


def _possible_duplicates(rows: Rows) -> NDArray[np.int64]:
    """The rows that share the first word of their key with another row, ascending by that word.

    Sorting one word of all rows and the whole keys of few takes less memory than sorting the whole
    keys of all rows.
    """
    words = np.ascontiguousarray(rows["key"][:, 0])
    order = np.argsort(words)
    words = words[order]
    repeats = words[1:] == words[:-1]
    shared = np.zeros(len(order), np.bool_)
    shared[1:] |= repeats
    shared[:-1] |= repeats
    return order[shared]


def _ends_of_runs(repeats: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row that repeats in the next one, the last row of its run of equal keys.

    Args:
        repeats: ascending; i is among them if row i + 1 has the same key as row i.
    """
    # a run of consecutive numbers ends where the next one is not greater by one
    is_last = np.append(np.diff(repeats) > 1, True)
    ends = np.flatnonzero(is_last)[: repeats.size]
    return repeats[ends[np.searchsorted(ends, np.arange(repeats.size))]] + 1
