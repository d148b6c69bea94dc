"""The rows of a window by their keys: what is there twice, and what each row is filed under.

Pure. About thirty bytes a row, and twenty more for a moment while duplicates are looked for: this
is all that grows with a day.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from .identity import KEY_BYTES, Identities
from .json_values import content_digest

_WORDS = KEY_BYTES // 8


@dataclass
class Index:
    """The identities of a window's rows, in the order of its rows."""

    keys: bytearray = field(default_factory=bytearray)
    days: array[int] = field(default_factory=lambda: array("i"))
    _ranks: array[int] = field(default_factory=lambda: array("q"))
    _numbered: array[int] = field(default_factory=lambda: array("b"))
    dropped: Any = field(default_factory=lambda: np.empty(0, np.int64))
    """int64, ascending: positions of the rows that are there again, and go."""

    def __len__(self) -> int:
        """How many rows, those to be dropped included."""
        return len(self.days)

    def extend(self, identities: Identities) -> None:
        """Append rows."""
        self.keys += identities.keys.tobytes()
        self._numbered.frombytes(identities.numbered.tobytes())
        self.days.frombytes(identities.days.tobytes())
        self._ranks.frombytes(identities.ranks.tobytes())

    def settle(self) -> None:
        """Find what is there more than once: list the rows to drop, number the rows to keep."""
        positions = self._repeated()
        halves = self._key_words()[positions].T
        # of rows of equal key and rank the last line is the last here
        order = np.lexsort((positions, np.frombuffer(self._ranks, np.int64)[positions], *halves))
        positions, halves = positions[order], halves[:, order]
        # row i + 1 repeats row i, and outranks it
        repeats = np.flatnonzero((halves[:, 1:] == halves[:, :-1]).all(axis=0))
        numbered = np.frombuffer(self._numbered, np.int8)[positions[repeats + 1]] == 1
        self.dropped = np.sort(positions[repeats[~numbered]])
        self._number_rows(positions, repeats[numbered])

    def dropped_between(self, start: int, end: int) -> Any:  # noqa: ANN401 - a numpy array
        """Of the rows `start` to `end` - 1 those to drop, as numbers from `start` on."""
        first, last = np.searchsorted(self.dropped, (start, end))
        return self.dropped[first:last] - start

    def hex_keys(self, positions: pa.Array) -> pa.Array:
        """The keys of the rows at `positions` as hexadecimal text."""
        keys = np.frombuffer(self.keys, np.uint8).reshape(-1, KEY_BYTES)[np.asarray(positions)]
        offsets = np.arange(len(keys) + 1, dtype=np.int32) * (2 * KEY_BYTES)
        text = pa.py_buffer(keys.tobytes().hex().encode())
        return pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), text)

    def date_array(self, positions: pa.Array) -> pa.Array:
        """The days of the rows at `positions` as dates."""
        days = np.frombuffer(self.days, np.int32)[np.asarray(positions)]
        return pa.array(days, pa.int32()).cast(pa.date32())

    def greatest_ranks(self) -> dict[int, int]:
        """Day, since 1970-01-01 -> the greatest rank of the rows that are filed under it."""
        days, numbers = np.unique(np.frombuffer(self.days, np.int32), return_inverse=True)
        greatest = np.zeros(len(days), np.int64)
        np.maximum.at(greatest, numbers, np.frombuffer(self._ranks, np.int64))
        return dict(zip(days.tolist(), greatest.tolist(), strict=True))

    def _repeated(self) -> Any:  # noqa: ANN401 - a numpy array
        """The positions of the rows whose key may be another's, by its first half."""
        halves = self._key_words()[:, 0].copy()
        order = np.argsort(halves)
        halves = halves[order]
        repeats = halves[1:] == halves[:-1]
        shared = np.zeros(len(order), np.bool_)
        shared[1:] |= repeats
        shared[:-1] |= repeats
        return order[shared]

    def _key_words(self) -> Any:  # noqa: ANN401 - a numpy array
        return np.frombuffer(self.keys, np.uint64).reshape(-1, _WORDS)

    def _number_rows(self, positions: Any, repeats: Any) -> None:  # noqa: ANN401 - numpy arrays
        """Number the rows after the first of those with one key: row i + 1 repeats row i."""
        number, before = 0, -1
        for row in repeats.tolist():
            number = number + 1 if row == before + 1 else 1
            before = row
            start = int(positions[row + 1]) * KEY_BYTES
            key = bytes(self.keys[start : start + KEY_BYTES])
            self.keys[start : start + KEY_BYTES] = content_digest([key.hex(), number])
