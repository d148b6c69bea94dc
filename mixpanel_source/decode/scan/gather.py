"""From a tape to arrow arrays: the values of each property and kind, one after the other.

Text is copied from the block as it stands, unless it has escapes. JSON keeps its numbers as they
were sent, but loses the spaces between its parts and needless escapes, as in the JSON of `rows`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..value_types import JsonType, Typed
from .grammar import BIGINT, BOOL, DOUBLE, JSON, TEXT
from .memory import PADDING, compiled, prefetch, put_word, word_at
from .scanner import KIND_BITS, KINDS, REWRITE
from .tape import Tape
from .unescape import rewrite_text

_TYPES = {
    BOOL: JsonType.BOOL,
    BIGINT: JsonType.BIGINT,
    DOUBLE: JsonType.DOUBLE,
    TEXT: JsonType.TEXT,
    JSON: JsonType.JSON,
}
_AHEAD = 16
"""How many values ahead of the one that is copied text is prefetched into the cache."""


class GroupedRows:
    """Rows of a tape in a new order: those of one name together, in the order they came.

    The rows of an event have the same properties. Together they leave longer gaps in the columns of
    other events, which files and tables store in less space and less time.
    """

    def __init__(self, tape: Tape, dropped: Collection[int] = ()) -> None:
        """Find the order.

        Args:
            tape: has the values.
            dropped: numbers of lines to leave out.
        """
        self._tape = tape
        kept = np.isin(tape.lines, np.fromiter(dropped, np.int32), invert=True)
        self._order: NDArray[np.int32] = np.flatnonzero(kept).astype(np.int32)
        names = self._per_row(*tape.names.T)
        # equal names get equal numbers, counted from 0 in the order they came
        numbers = names.dictionary_encode().indices.to_numpy()
        by_name = np.argsort(numbers, kind="stable")
        self._order = self._order[by_name]
        self.names = names.take(pa.array(by_name))
        """string: the name of each row: of the event, or the id of the profile."""

    @property
    def lines(self) -> NDArray[np.int32]:
        """The number of each row's line in the block."""
        return self._tape.lines[self._order]

    def raw_properties(self) -> pa.Array:
        """The JSON text of each row's properties, as it was sent (string)."""
        unchanged = np.zeros(len(self._tape.lines), np.int32)
        return self._per_row(*self._tape.properties.T, unchanged)

    def typed_arrays(self, only: Collection[str] | None = None) -> dict[Typed, pa.Array]:
        """The values of each property and JSON type, with an item for every row.

        Args:
            only: names of the properties to take; None for all.
        """
        tape = self._tape
        bounds, *values = _group(
            tape.key,
            tape.row,
            tape.kind,
            tape.start,
            tape.end,
            len(tape.keys),
            len(tape.lines),
            self._order,
        )
        arrays: dict[Typed, pa.Array] = {}
        for group in np.flatnonzero(np.diff(bounds)).tolist():
            number, kind = divmod(group, KINDS)
            if only is None or tape.keys[number] in only:
                part = slice(bounds[group], bounds[group + 1])
                array = self._array(kind, *(column[part] for column in values))
                arrays[Typed(tape.keys[number], _TYPES[kind])] = array
        return arrays

    def _array(self, kind: int, places: NDArray[np.int32], *spans: Any) -> pa.Array:
        """The array of one property and kind; `spans` are starts, ends and flags."""
        rows = len(self._order)
        if kind == BIGINT:
            numbers, valid = _gather_integers(places, spans[0], rows)
            return _from_buffers(pa.int64(), rows, valid, numbers)
        if kind == BOOL:
            bits, valid = _gather_bits(places, spans[0], rows)
            return _from_buffers(pa.bool_(), rows, valid, bits)
        text = self._text(places, *spans, json=kind == JSON)
        return text.cast(pa.float64()) if kind == DOUBLE else text

    def _per_row(self, *spans: Any) -> pa.Array:
        """A text of each row; `spans` are starts, ends and flags for all rows of the tape."""
        places = np.arange(len(self._order), dtype=np.int32)
        return self._text(places, *(span[self._order] for span in spans), json=False)

    def _text(self, places: NDArray[np.int32], *spans: Any, json: bool) -> pa.Array:
        rows = len(self._order)
        offsets, text, valid = _gather_text(self._tape.data, places, *spans, json, rows)
        return _from_buffers(pa.string(), rows, valid, offsets, text)


def _from_buffers(kind: pa.DataType, rows: int, *buffers: Any) -> pa.Array:
    """An arrow array on top of numpy arrays, without a copy; the first is its validity bitmap."""
    return pa.Array.from_buffers(kind, rows, [*map(pa.py_buffer, buffers)])


@compiled
def _group(keys, rows, kinds, starts, ends, key_count, row_count, order):
    """Sort values by property and kind; within these, by the order of their rows.

    A counting sort: the first pass counts the values of each group, the second puts each value
    where its group continues. A block is bigger than a processor's cache, so the second pass also
    copies what is needed of a value next to the value before it in its group, while it is cached.

    Args:
        keys: for each value, see `Tape`, as the next four.
        rows: ascending.
        kinds: with flags.
        starts: or values.
        ends: past the text.
        key_count: how many properties there are.
        row_count: how many rows the tape has.
        order: rows to take, in this order.

    Returns:
        The bounds of the groups, `KINDS` for each property; and for each value the place of its row
        in `order`, start, end and flags.
    """
    # count at the next index, then add up: bounds[group] is where a group starts,
    # firsts[row] is the first value of a row
    bounds = np.zeros(key_count * KINDS + 1, np.int64)
    firsts = np.zeros(row_count + 1, np.int64)
    for row in rows:
        firsts[row + 1] += 1
    for row in range(1, firsts.size):
        firsts[row] += firsts[row - 1]
    for row in order:
        for value in range(firsts[row], firsts[row + 1]):
            bounds[keys[value] * KINDS + (kinds[value] & KIND_BITS) + 1] += 1
    for group in range(1, bounds.size):
        bounds[group] += bounds[group - 1]
    following, size = bounds[:-1].copy(), bounds[-1]
    places, flags = np.empty(size, np.int32), np.empty(size, np.int8)
    from_, to = np.empty(size, np.int64), np.empty(size, np.int32)
    for place in range(order.size):
        row = order[place]
        for value in range(firsts[row], firsts[row + 1]):
            group = keys[value] * KINDS + (kinds[value] & KIND_BITS)
            at = following[group]
            following[group] = at + 1
            places[at], flags[at] = place, kinds[value]
            from_[at], to[at] = starts[value], ends[value]
    return bounds, places, from_, to, flags


@compiled
def _mark(bits, row):
    """Set the bit of a row: arrow counts the bits of a byte from the lowest."""
    bits[row >> 3] |= np.uint8(1 << (row & 7))


@compiled
def _gather_integers(places, numbers, row_count):
    """Values and validity of an int64 array."""
    values = np.zeros(row_count, np.int64)
    valid = np.zeros((row_count + 7) // 8, np.uint8)
    for value in range(places.size):
        values[places[value]] = numbers[value]
        _mark(valid, places[value])
    return values, valid


@compiled
def _gather_bits(places, numbers, row_count):
    """Values and validity of a boolean array, both one bit for each row."""
    values = np.zeros((row_count + 7) // 8, np.uint8)
    valid = np.zeros((row_count + 7) // 8, np.uint8)
    for value in range(places.size):
        if numbers[value]:
            _mark(values, places[value])
        _mark(valid, places[value])
    return values, valid


@compiled
def _gather_text(block, places, starts, ends, flags, json, row_count):
    """Offsets, bytes and validity of a text array; `places` ascend."""
    size = 0
    for value in range(places.size):
        size += ends[value] - starts[value]
    # no text gets longer when it is rewritten; a copy by words may write past its end
    text = np.empty(size + PADDING, np.uint8)
    offsets = np.empty(row_count + 1, np.int32)
    valid = np.zeros((row_count + 7) // 8, np.uint8)
    source, target = block.ctypes.data, text.ctypes.data
    at = following = 0
    for value in range(places.size):
        # a property's texts are a row apart in the block, too far for the processor to foresee
        if value + _AHEAD < places.size:
            prefetch(source, starts[value + _AHEAD])
        row = places[value]
        # rows without a value have an empty text, at the same offset
        offsets[following : row + 1] = at
        following = row + 1
        _mark(valid, row)
        if flags[value] & REWRITE:
            at = rewrite_text(source, starts[value], ends[value], text, at, json)
        else:
            at = _copy(source, starts[value], ends[value], target, at)
    offsets[following:] = at
    return offsets, text[:at], valid


@compiled
def _copy(source, start, end, target, at):
    """Copy bytes, and up to seven more: the next text overwrites these, or they are cut off.

    Most texts are short, and for these whole words are faster than a call of memcpy.
    """
    place = at
    for word in range(start, end, 8):
        put_word(target, place, word_at(source, word))
        place += 8
    return at + end - start
