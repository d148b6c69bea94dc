"""One pass over a block of lines that finds where every value is.

What it writes to are columns whose addresses it is given, for arrays in a tuple would be counted in
and out for every row, which takes longer than the rest of the work.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .grammar import (
    CLOSE,
    COLON,
    COMMA,
    DOUBLE,
    JSON,
    NEWLINE,
    NULL,
    OPEN,
    OPEN_LIST,
    QUOTE,
    TEXT,
    nested_end,
    scalar_end,
    skip_spaces,
    string_end,
    value_start,
)
from .memory import byte_at, compiled, int_at, put_int8, put_int32, put_int64, word_at

KINDS = 5
"""Kinds that values on a tape have, NULL being none."""
REWRITE = 8
"""Added to a kind: the text has escapes, or spaces between its parts."""
KIND_BITS = 7
MAX_KEYS = 8_192
"""Most properties of a block; rows with more are odd."""
MAX_KEY_BYTES = 255
"""Longest name of a property; rows with longer ones are odd. A name is compared with what follows
at once, which may be past the end of the block."""
SLOTS = 2 * MAX_KEYS
GUESSES = 1 << 14
"""Places for what followed a property in a row of some name; two that share one guess worse."""

_TRIES = 2
"""Guesses before the name of a property is looked up."""
_SPREAD = 40_503
"""Odd, so that multiples of it are far apart among `GUESSES`."""
_FNV_START, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_HALF = np.uint64(32)


class RowColumns(NamedTuple):
    """The columns of `Tape` that have a line a row."""

    line: Any
    bounds: Any
    name: Any
    properties: Any


class ValueColumns(NamedTuple):
    """The columns of `Tape` that have a line a value."""

    key: Any
    row: Any
    kind: Any
    start: Any
    end: Any


class KeyTable(NamedTuple):
    """The properties met in a block."""

    start: Any
    size: Any
    last_line: Any
    """The line a property was met in last: in one row it must not be met twice."""
    next: Any
    """The property that followed last time in a row of that name, and mostly follows again."""
    slots: Any
    """A hash table of open addressing: the number of a property, or -1."""


@compiled
def count_colons_and_lines(data):
    """How many colons and how many line ends there are."""
    colons = lines = 0
    for byte in data:
        colons += byte == COLON
        lines += byte == NEWLINE
    return colons, lines


@compiled
def _same(data, one, other, size):
    """Whether `size` bytes at `one` are those at `other`."""
    while size >= 8:
        if word_at(data, one) != word_at(data, other):
            return False
        one += 8
        other += 8
        size -= 8
    difference = word_at(data, one) ^ word_at(data, other)
    return size == 0 or difference << np.uint64(64 - 8 * size) == 0


@compiled
def _digest(data, at, end):
    """A number made from the bytes between `at` and `end`."""
    digest = _FNV_START
    for place in range(at, end):
        digest = (digest ^ np.uint64(byte_at(data, place))) * _FNV_PRIME
    return np.int64(digest >> _HALF)


@compiled
def _slot(data, at, end, keys):
    """The slot in which the property named between `at` and `end` is, or may be put."""
    last = SLOTS - 1
    slot = _digest(data, at, end) & last
    while True:
        key = int_at(keys.slots, slot)
        if key < 0:
            return slot
        if int_at(keys.size, key) == end - at and _same(
            data, at, int_at(keys.start, key), end - at
        ):
            return slot
        slot = (slot + 1) & last


@njit(nogil=True, inline="always")
def _find_key(data, at, line, keys, count, seed, previous):
    """The property named at `at`, or -1; where its name ends; how many properties there are."""
    guess = first = (seed + previous * _SPREAD) & (GUESSES - 1)
    for _ in range(_TRIES):
        key = int_at(keys.next, guess)
        if key < 0:
            break
        size = int_at(keys.size, key)
        end = at + size
        if byte_at(data, end) == QUOTE and _same(data, at, int_at(keys.start, key), size):
            break
        # perhaps that one is not in this row, and what follows it is next
        guess = (seed + key * _SPREAD) & (GUESSES - 1)
        key = -1
    if key < 0:
        end, _ = string_end(data, at)
        if end >= 0:
            slot = _slot(data, at, end, keys)
            key = int_at(keys.slots, slot)
            if key < 0 and count < MAX_KEYS and end - at <= MAX_KEY_BYTES:
                key = count
                count += 1
                put_int32(keys.slots, slot, key)
                put_int32(keys.start, key, at)
                put_int32(keys.size, key, end - at)
                put_int32(keys.last_line, key, -1)
            if key >= 0:
                put_int32(keys.next, first, key)
    if key >= 0:
        if int_at(keys.last_line, key) == line:
            key = -1
        else:
            put_int32(keys.last_line, key, line)
    return key, end, count


@compiled
def _scan_properties(data, at, line, row, seed, values, count, keys, key_count):
    """Past the object at `at`, or -1; how many values and how many properties there are."""
    at = skip_spaces(data, at + 1)
    if byte_at(data, at) == CLOSE:
        return at + 1, count, key_count
    key = 0
    while byte_at(data, at) == QUOTE:
        key, at, key_count = _find_key(data, at + 1, line, keys, key_count, seed, key)
        if key < 0:
            break
        at = start = value_start(data, at)
        if at < 0:
            break
        byte = byte_at(data, at)
        if byte == QUOTE:
            end, rewrite = string_end(data, at + 1)
            kind, start, at = TEXT, at + 1, end + 1 if end >= 0 else -1
        elif byte == OPEN or byte == OPEN_LIST:
            end, rewrite = nested_end(data, at)
            kind, at = JSON, end
        else:
            end, kind, value = scalar_end(data, at)
            rewrite, at = False, end
            if kind != DOUBLE:
                start = value
        if at < 0:
            break
        if kind != NULL:
            put_int32(values.key, count, key)
            put_int32(values.row, count, row)
            put_int8(values.kind, count, kind | REWRITE if rewrite else kind)
            put_int64(values.start, count, start)
            put_int32(values.end, count, end)
            count += 1
        at = skip_spaces(data, at)
        byte = byte_at(data, at)
        if byte == CLOSE:
            return at + 1, count, key_count
        if byte != COMMA:
            break
        at = skip_spaces(data, at + 1)
    return -1, count, key_count


@compiled
def _is_key(data, at, end, key, size):
    if end - at != size:
        return False
    for place in range(size):
        if byte_at(data, at + place) != byte_at(key, place):
            return False
    return True


@compiled
def _scan_row(data, at, line, row, wanted, grouped, rows, values, count, keys, key_count):
    """Past the row at `at`, or -1; how many values and how many properties there are."""
    has_name = has_properties = False
    seed = 0
    first = count
    byte = byte_at(data, at)
    while byte == (COMMA if has_name or has_properties else OPEN):
        at = skip_spaces(data, at + 1)
        if byte_at(data, at) != QUOTE:
            break
        key = at + 1
        key_end, _ = string_end(data, key)
        if key_end < 0:
            break
        at = start = value_start(data, key_end)
        if at < 0:
            break
        byte = byte_at(data, at)
        if byte == QUOTE and not has_name and _is_key(data, key, key_end, *wanted[:2]):
            end, escaped = string_end(data, at + 1)
            if end < 0:
                break
            put_int32(rows.name, 3 * row, at + 1)
            put_int32(rows.name, 3 * row + 1, end)
            put_int32(rows.name, 3 * row + 2, REWRITE if escaped else 0)
            seed = _digest(data, at + 1, end) if grouped else 0
            at = end + 1
            has_name = True
        elif byte == OPEN and not has_properties and _is_key(data, key, key_end, *wanted[2:]):
            at, count, key_count = _scan_properties(
                data, at, line, row, seed, values, count, keys, key_count
            )
            if at < 0:
                break
            put_int32(rows.properties, 2 * row, start)
            put_int32(rows.properties, 2 * row + 1, at)
            has_properties = True
        else:
            break
        at = skip_spaces(data, at)
        byte = byte_at(data, at)
        if byte == CLOSE and has_name and has_properties:
            at = skip_spaces(data, at + 1)
            if byte_at(data, at) == NEWLINE:
                return at + 1, count, key_count
            break
    return -1, first, key_count


@compiled
def _line_end(data, at):
    while byte_at(data, at) != NEWLINE:
        at += 1
    return at


@compiled
def scan_lines(block, name_key, properties_key, grouped, rows, values, keys, odd):
    """How many rows, values, properties and odd lines there are."""
    data = block.ctypes.data
    wanted = name_key.ctypes.data, name_key.size, properties_key.ctypes.data, properties_key.size
    row = count = key_count = odd_count = at = 0
    for line in range(len(odd)):
        end, count, key_count = _scan_row(
            data, at, line, row, wanted, grouped, rows, values, count, keys, key_count
        )
        if end >= 0:
            put_int32(rows.line, row, line)
            put_int32(rows.bounds, 2 * row, at)
            put_int32(rows.bounds, 2 * row + 1, end - 1)
            row += 1
        else:
            end = _line_end(data, at)
            odd[odd_count, 0], odd[odd_count, 1], odd[odd_count, 2] = line, at, end
            odd_count += 1
            end += 1
        at = end
    return row, count, key_count, odd_count
