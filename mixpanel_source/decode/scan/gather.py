"""From a tape to arrow arrays: the values of a property, one below the other.

The values of each property and kind are copied out of the block in one go;
text is copied as it stands, unless it has escapes. JSON keeps its numbers as they were sent; spaces
between its parts go, and characters stand for themselves, as in the JSON that `rows` writes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa

from ..value_types import JsonType, Typed
from .grammar import (
    BACKSLASH,
    BIGINT,
    BOOL,
    DOUBLE,
    JSON,
    LOWER_U,
    QUOTE,
    RETURN,
    SPACE,
    TAB,
    TEXT,
    hex_code,
)
from .memory import PADDING, byte_at, compiled, prefetch, put_word, word_at
from .scanner import KIND_BITS, KINDS, REWRITE
from .tape import Tape

_TYPES = {
    BOOL: JsonType.BOOL,
    BIGINT: JsonType.BIGINT,
    DOUBLE: JsonType.DOUBLE,
    TEXT: JsonType.TEXT,
    JSON: JsonType.JSON,
}
_AHEAD = 16
"""Values between the one that is copied and the one that is fetched from memory meanwhile."""
_LETTERS = np.zeros(256, np.uint8)
"""The character that a letter after a backslash stands for."""
_LETTERS[[ord(letter) for letter in '"\\/bfnrt']] = [ord(c) for c in '"\\/\b\f\n\r\t']
_CONTROLS = np.zeros(32, np.uint8)
"""The letter that stands for a control character, where there is one."""
_CONTROLS[[ord(c) for c in "\b\f\n\r\t"]] = [ord(letter) for letter in "bfnrt"]


class GroupedRows:
    """Rows of a tape, those of one name one below the other, else as they came.

    The rows of an event have the same properties. Standing together they leave longer gaps in the
    columns of the others, which files and tables store in less room and less time.
    """

    def __init__(self, tape: Tape, dropped: Collection[int] = ()) -> None:
        """Find the order.

        Args:
            tape: where the values are.
            dropped: numbers of lines that are left out.
        """
        self._tape = tape
        kept = np.isin(tape.lines, np.fromiter(dropped, np.int32), invert=True)
        self._order = np.flatnonzero(kept).astype(np.int32)
        names = self._per_row(*tape.names.T)
        numbers = names.dictionary_encode().indices.to_numpy()
        by_name = np.argsort(numbers, kind="stable")
        self._order = self._order[by_name]
        self.names = names.take(pa.array(by_name))
        """The name of each row: of the event, or of the profile."""

    @property
    def lines(self) -> Any:
        """int32: the number of each row's line in the block."""
        return self._tape.lines[self._order]

    def raw_properties(self) -> pa.Array:
        """The JSON text of each row's properties, as it was sent."""
        unchanged = np.zeros(len(self._tape.lines), np.int32)
        return self._per_row(*self._tape.properties.T, unchanged)

    def typed_arrays(self, only: Collection[str] | None = None) -> dict[Typed, pa.Array]:
        """The arrays, each with a place for every row.

        Args:
            only: names of the properties to take; all if None.
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

    def _array(self, kind: int, places: Any, *spans: Any) -> pa.Array:
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
        """A text of each row, with where each starts and ends and whether it is to be rewritten."""
        places = np.arange(len(self._order), dtype=np.int32)
        return self._text(places, *(span[self._order] for span in spans), json=False)

    def _text(self, places: Any, *spans: Any, json: bool) -> pa.Array:
        rows = len(self._order)
        offsets, text, valid = _gather_text(self._tape.data, places, *spans, json, rows)
        return _from_buffers(pa.string(), rows, valid, offsets, text)


def _from_buffers(kind: pa.DataType, rows: int, *buffers: Any) -> pa.Array:
    return pa.Array.from_buffers(kind, rows, [*map(pa.py_buffer, buffers)])


@compiled
def _group(keys, rows, kinds, starts, ends, key_count, row_count, order):
    """The bounds of the values of each property and kind; of each value its place and its span.

    Of the rows, those in `order` count, and in that order.

    A block is bigger than a processor's cache. So what is needed of a value is put next to what is
    needed of the one below it, while it is at hand.
    """
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
def _mark(valid, row):
    valid[row >> 3] |= np.uint8(1 << (row & 7))


@compiled
def _gather_integers(places, numbers, row_count):
    values = np.zeros(row_count, np.int64)
    valid = np.zeros((row_count + 7) // 8, np.uint8)
    for value in range(places.size):
        values[places[value]] = numbers[value]
        _mark(valid, places[value])
    return values, valid


@compiled
def _gather_bits(places, numbers, row_count):
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
    text = np.empty(size + PADDING, np.uint8)
    offsets = np.empty(row_count + 1, np.int32)
    valid = np.zeros((row_count + 7) // 8, np.uint8)
    source, target = block.ctypes.data, text.ctypes.data
    at = following = 0
    for value in range(places.size):
        if value + _AHEAD < places.size:
            prefetch(source, starts[value + _AHEAD])
        row = places[value]
        offsets[following : row + 1] = at
        following = row + 1
        _mark(valid, row)
        if flags[value] & REWRITE:
            at = _rewrite(source, starts[value], ends[value], text, at, json)
        else:
            at = _copy(source, starts[value], ends[value], target, at)
    offsets[following:] = at
    return offsets, text[:at], valid


@compiled
def _copy(source, start, end, target, at):
    place = at
    for word in range(start, end, 8):
        put_word(target, place, word_at(source, word))
        place += 8
    return at + end - start


@compiled
def _rewrite(source, start, end, text, at, json):
    """Copy text with its escapes resolved, or JSON without escapes and spaces it can do without."""
    inside = not json
    while start < end:
        byte = byte_at(source, start)
        if byte == BACKSLASH:
            code, start = _escaped(source, start + 1)
            at = _put_json_character(text, at, code) if json else _put_utf8(text, at, code)
            continue
        if json and byte == QUOTE:
            inside = not inside
        if inside or not (byte == SPACE or byte == TAB or byte == RETURN):
            text[at] = byte
            at += 1
        start += 1
    return at


@compiled
def _escaped(source, at):
    """The code point that the escape with its letter at `at` stands for, and where it ends."""
    letter = byte_at(source, at)
    if letter != LOWER_U:
        return np.int64(_LETTERS[letter]), at + 1
    code = hex_code(source, at + 1)
    if 0xD800 <= code < 0xDC00:
        low = hex_code(source, at + 7)
        return 0x10000 + ((code - 0xD800) << 10) + low - 0xDC00, at + 11
    return code, at + 5


@compiled
def _put_json_character(text, at, code):
    """Write a character into a JSON string, escaped where it has to be."""
    if code >= 32 and code != QUOTE and code != BACKSLASH:
        return _put_utf8(text, at, code)
    text[at] = BACKSLASH
    letter = np.int64(_CONTROLS[code]) if code < 32 else code
    if letter:
        text[at + 1] = letter
        return at + 2
    text[at + 1] = LOWER_U
    for place, shift in ((2, 12), (3, 8), (4, 4), (5, 0)):
        digit = code >> shift & 15
        text[at + place] = digit + (48 if digit < 10 else 87)
    return at + 6


@compiled
def _put_utf8(text, at, code):
    if code < 0x80:
        text[at] = code
        return at + 1
    if code < 0x800:
        text[at] = 0xC0 | code >> 6
    else:
        if code < 0x10000:
            text[at] = 0xE0 | code >> 12
        else:
            text[at] = 0xF0 | code >> 18
            at += 1
            text[at] = 0x80 | code >> 12 & 0x3F
        at += 1
        text[at] = 0x80 | code >> 6 & 0x3F
    text[at + 1] = 0x80 | code & 0x3F
    return at + 2
