"""The rows of a window by their keys: which are duplicates, and which day each is filed under.

Pure. This is all that grows with the rows of a day: about thirty bytes for each row, and briefly
twenty more while duplicates are found.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...windows import Window
from ..event_time import EPOCH_ORDINAL, NO_DAY, day_number
from ..json_values import content_digest
from .identity import KEY_BYTES, Identities

_WORDS = KEY_BYTES // 8
"""A key is compared as this many 64-bit words."""


@dataclass
class RowIndex:
    """The identities of a window's rows, in the order of the rows.

    A row is named by its position in the window, from 0.
    """

    keys: bytearray = field(default_factory=bytearray)
    """`KEY_BYTES` bytes for each row."""
    own_days: array[int] = field(default_factory=lambda: array("i"))
    """Of the rows' own times, in days since 1970-01-01; `NO_DAY` for a row without a time."""
    window: Window | None = None
    """That the rows were requested for, and are filed under days of; see `file_under`."""
    _ranks: array[int] = field(default_factory=lambda: array("q"))
    _numbered: array[int] = field(default_factory=lambda: array("b"))
    dropped: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Positions of the rows to drop, ascending."""
    duplicates: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    """Shape (duplicates, 2): the positions of each, and of the row kept instead."""
    _rejected: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        """The number of rows, dropped ones included."""
        return len(self.own_days)

    def extend(self, identities: Identities) -> None:
        """Append rows."""
        self._rejected.frombytes((np.flatnonzero(identities.rejected) + len(self)).tobytes())
        self.keys += identities.keys.tobytes()
        self._numbered.frombytes(identities.numbered.tobytes())
        self.own_days.frombytes(identities.days.tobytes())
        self._ranks.frombytes(identities.ranks.tobytes())

    def resolve_duplicates(self) -> None:
        """Among rows with the same key, decide which to drop and give new keys to those numbered.

        Kept is the row with the greatest rank; of equal ranks, the last one.
        """
        positions = self._possible_duplicates()
        words = self._key_words()[positions].T
        # sorts by key, then rank, then position: lexsort takes its most significant key last
        order = np.lexsort((positions, np.frombuffer(self._ranks, np.int64)[positions], *words))
        positions, words = positions[order], words[:, order]
        # i is a repeat if row i + 1 has the same key as row i, and so outranks it
        repeats = np.flatnonzero((words[:, 1:] == words[:, :-1]).all(axis=0))
        numbered = np.frombuffer(self._numbered, np.int8)[positions[repeats + 1]] == 1
        # all rejected rows have the same key, which means nothing
        rejected = np.isin(positions[repeats], self.rejected)
        repeated = repeats[~numbered & ~rejected]
        self.dropped = np.sort(positions[repeated])
        self.duplicates = np.stack((positions[repeated], positions[_ends_of_runs(repeated)]), 1)
        self._number_rows(positions, repeats[numbered])
        self.drop(self.rejected)

    @property
    def rejected(self) -> NDArray[np.int64]:
        """The positions of the rejected rows, ascending; they are dropped as well."""
        return np.frombuffer(self._rejected, np.int64)

    def is_rejected_of(self, window: Window) -> NDArray[np.bool_]:
        """For each rejected row whether its own day lies in a window, or is not known."""
        days = np.frombuffer(self.own_days, np.int32)[self.rejected]
        first, last = map(day_number, window)
        own: NDArray[np.bool_] = (days == NO_DAY) | ((days >= first) & (days <= last))
        return own

    @property
    def days(self) -> NDArray[np.int32]:
        """The days the rows are filed under, in days since 1970-01-01."""
        return self.days_within(self.window)

    def days_within(self, window: Window | None) -> NDArray[np.int32]:
        """The own days of the rows, moved to the nearest day of a window.

        Rows without a time have the first day of the window.
        """
        days = np.frombuffer(self.own_days, np.int32)
        if window is None:
            return days
        return np.clip(days, day_number(window.first), day_number(window.last))

    def drop(self, positions: NDArray[np.int64]) -> None:
        """Drop further rows."""
        self.dropped = np.union1d(self.dropped, positions)

    def present(self) -> NDArray[np.int64]:
        """The positions of the rows that are not dropped, ascending."""
        return np.delete(np.arange(len(self), dtype=np.int64), self.dropped)

    def ranks(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ranks of the rows at `positions`."""
        return np.frombuffer(self._ranks, np.int64)[positions]

    def first_words(self, positions: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The first 64 bits of the keys of the rows at `positions`."""
        words: NDArray[np.uint64] = self._key_words()[positions, 0]
        return words

    def dropped_between(self, start: int, end: int) -> NDArray[np.int64]:
        """The rows to drop at positions [start, end), counted from `start`."""
        first, last = np.searchsorted(self.dropped, (start, end))
        return self.dropped[first:last] - start

    def hex_keys(self, positions: pa.Array) -> pa.Array:
        """The keys of the rows at `positions` (int64) as hexadecimal text (string)."""
        keys = np.frombuffer(self.keys, np.uint8).reshape(-1, KEY_BYTES)[np.asarray(positions)]
        # all texts are equally long, so the offsets of the arrow array are known beforehand
        offsets = np.arange(len(keys) + 1, dtype=np.int32) * (2 * KEY_BYTES)
        text = pa.py_buffer(keys.tobytes().hex().encode())
        return pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), text)

    def date_array(self, positions: pa.Array) -> pa.Array:
        """The days of the rows at `positions` (int64) as dates (date32)."""
        days = self.days[np.asarray(positions)]
        return pa.array(days, pa.int32()).cast(pa.date32())

    def rows_by_day(
        self, positions: NDArray[np.int64] | None = None, *, window: Window | None = None
    ) -> dict[date, int]:
        """Day -> rows filed under it, of those at `positions`, or of all but those to drop.

        Args:
            positions: of the rows to count.
            window: count the rows as if they were filed under days of it.
        """
        days = self.days_within(window or self.window)
        counted = np.delete(days, self.dropped) if positions is None else days[positions]
        days, counts = np.unique(counted, return_counts=True)
        return {
            date.fromordinal(day + EPOCH_ORDINAL): count
            for day, count in zip(days.tolist(), counts.tolist(), strict=True)
        }

    def greatest_ranks(self) -> dict[int, int]:
        """Day, in days since 1970-01-01 -> the greatest rank of the rows filed under it."""
        days, numbers = np.unique(self.days, return_inverse=True)
        greatest = np.zeros(len(days), np.int64)
        np.maximum.at(greatest, numbers, np.frombuffer(self._ranks, np.int64))
        return dict(zip(days.tolist(), greatest.tolist(), strict=True))

    def _possible_duplicates(self) -> NDArray[np.int64]:
        """The positions of rows that share the first word of their key with another row.

        Sorting one word of all rows and the whole keys of few takes less memory than sorting the
        whole keys of all rows.
        """
        words = self._key_words()[:, 0].copy()
        order = np.argsort(words)
        words = words[order]
        repeats = words[1:] == words[:-1]
        shared = np.zeros(len(order), np.bool_)
        shared[1:] |= repeats
        shared[:-1] |= repeats
        return order[shared]

    def _key_words(self) -> NDArray[np.uint64]:
        """Shape (rows, `_WORDS`)."""
        return np.frombuffer(self.keys, np.uint64).reshape(-1, _WORDS)

    def _number_rows(self, positions: NDArray[np.int64], repeats: NDArray[np.int64]) -> None:
        """Give a key of its own to each row after the first with a key.

        Args:
            positions: of rows sorted by key.
            repeats: ascending; i is among them if row i + 1 has the same key as row i.
        """
        number, before = 0, -1
        for row in repeats.tolist():
            # consecutive repeats are one run of equal keys
            number = number + 1 if row == before + 1 else 1
            before = row
            start = int(positions[row + 1]) * KEY_BYTES
            key = bytes(self.keys[start : start + KEY_BYTES])
            self.keys[start : start + KEY_BYTES] = content_digest([key.hex(), number])


def _ends_of_runs(repeats: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row that repeats in the next one, the last row of its run of equal keys.

    Args:
        repeats: ascending; i is among them if row i + 1 has the same key as row i.
    """
    # a run of consecutive numbers ends where the next one is not greater by one
    is_last = np.append(np.diff(repeats) > 1, True)
    ends = np.flatnonzero(is_last)[: repeats.size]
    return repeats[ends[np.searchsorted(ends, np.arange(repeats.size))]] + 1
