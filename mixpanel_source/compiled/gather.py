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

from ..kinds import JsonType, Typed
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
from .memory import PADDING, byte_at, compiled, put_word, word_at
from .tape import KIND_BITS, KINDS, REWRITE, Tape

_TYPES = {
    BOOL: JsonType.BOOL,
    BIGINT: JsonType.BIGINT,
    DOUBLE: JsonType.DOUBLE,
    TEXT: JsonType.TEXT,
    JSON: JsonType.JSON,
}
_LETTERS = np.zeros(256, np.uint8)
"""The character that a letter after a backslash stands for."""
_LETTERS[[ord(letter) for letter in '"\\/bfnrt']] = [ord(c) for c in '"\\/\b\f\n\r\t']
_CONTROLS = np.zeros(32, np.uint8)
"""The letter that stands for a control character, where there is one."""
_CONTROLS[[ord(c) for c in "\b\f\n\r\t"]] = [ord(letter) for letter in "bfnrt"]


def typed_arrays(tape: Tape, only: Collection[str] | None = None) -> dict[Typed, pa.Array]:
    """The arrays of a tape, each with a place for every row.

    Args:
        tape: where the values are.
        only: names of the properties to take; all if None.
    """
    rows = len(tape.lines)
    bounds, order = _group(tape.key, tape.kind, len(tape.keys))
    arrays: dict[Typed, pa.Array] = {}
    for group in np.flatnonzero(np.diff(bounds)).tolist():
        number, kind = divmod(group, KINDS)
        if only is None or tape.keys[number] in only:
            chosen = order[bounds[group] : bounds[group + 1]]
            arrays[Typed(tape.keys[number], _TYPES[kind])] = _array(tape, kind, chosen, rows)
    return arrays


def names(tape: Tape) -> pa.Array:
    """The name of each row: of the event, or of the profile."""
    rows = np.arange(len(tape.lines), dtype=np.int32)
    return _text(tape, rows, rows, *tape.names.T, json=False, rows=len(rows))


def raw_properties(tape: Tape) -> pa.Array:
    """The JSON text of each row's properties, as it was sent."""
    rows = np.arange(len(tape.lines), dtype=np.int32)
    unchanged = np.zeros(len(rows), np.int32)
    return _text(tape, rows, rows, *tape.properties.T, unchanged, json=False, rows=len(rows))


def _array(tape: Tape, kind: int, chosen: Any, rows: int) -> pa.Array:
    if kind == BIGINT:
        values, valid = _gather_integers(chosen, tape.row, tape.start, rows)
        return _from_buffers(pa.int64(), rows, valid, values)
    if kind == BOOL:
        values, valid = _gather_bits(chosen, tape.row, tape.start, rows)
        return _from_buffers(pa.bool_(), rows, valid, values)
    spans = tape.row, tape.start, tape.end, tape.kind
    text = _text(tape, chosen, *spans, json=kind == JSON, rows=rows)
    return text.cast(pa.float64()) if kind == DOUBLE else text


def _text(tape: Tape, chosen: Any, *spans: Any, json: bool, rows: int) -> pa.Array:
    offsets, text, valid = _gather_text(tape.data, chosen, *spans, json, rows)
    return _from_buffers(pa.string(), rows, valid, offsets, text)


def _from_buffers(kind: pa.DataType, rows: int, *buffers: Any) -> pa.Array:
    return pa.Array.from_buffers(kind, rows, [*map(pa.py_buffer, buffers)])


@compiled
def _group(keys, kinds, key_count):
    """The values in order of property and kind, and the bounds of each group of them."""
    bounds = np.zeros(key_count * KINDS + 1, np.int64)
    for value in range(keys.size):
        bounds[keys[value] * KINDS + (kinds[value] & KIND_BITS) + 1] += 1
    for group in range(1, bounds.size):
        bounds[group] += bounds[group - 1]
    place = bounds[:-1].copy()
    order = np.empty(keys.size, np.int32)
    for value in range(keys.size):
        group = keys[value] * KINDS + (kinds[value] & KIND_BITS)
        order[place[group]] = value
        place[group] += 1
    return bounds, order


@compiled
def _mark(valid, row):
    valid[row >> 3] |= np.uint8(1 << (row & 7))


@compiled
def _gather_integers(chosen, rows, numbers, row_count):
    values = np.zeros(row_count, np.int64)
    valid = np.zeros((row_count + 7) // 8, np.uint8)
    for value in chosen:
        values[rows[value]] = numbers[value]
        _mark(valid, rows[value])
    return values, valid


@compiled
def _gather_bits(chosen, rows, numbers, row_count):
    values = np.zeros((row_count + 7) // 8, np.uint8)
    valid = np.zeros((row_count + 7) // 8, np.uint8)
    for value in chosen:
        if numbers[value]:
            _mark(values, rows[value])
        _mark(valid, rows[value])
    return values, valid


@compiled
def _gather_text(block, chosen, rows, starts, ends, flags, json, row_count):
    """Offsets, bytes and validity of a text array."""
    size = 0
    for value in chosen:
        size += ends[value] - starts[value]
    text = np.empty(size + PADDING, np.uint8)
    offsets = np.empty(row_count + 1, np.int32)
    valid = np.zeros((row_count + 7) // 8, np.uint8)
    source, target = block.ctypes.data, text.ctypes.data
    at = following = 0
    for value in chosen:
        row = rows[value]
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
