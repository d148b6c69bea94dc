"""One pass over a block of lines that finds the place of every value.

The results are written to columns given by their addresses: in a tuple of arrays, numba would count
the references of each array for every row, which takes longer than all of the other work.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .characters import CLOSE, COLON, COMMA, NEWLINE, OPEN, OPEN_LIST, QUOTE
from .grammar import DOUBLE, JSON, NULL, TEXT, nested_end, scalar_end, skip_spaces, value_start
from .key_table import find_key, hash_bytes
from .memory import byte_at, compiled, put_int8, put_int32, put_int64
from .strings import string_end

KINDS = 5
"""The number of kinds of values on a tape: all but `NULL`."""
REWRITE = 8
"""Flag in the byte of a kind: the text has escapes, or spaces between its parts."""
KIND_BITS = 7
"""Mask of the kind itself."""


class RowColumns(NamedTuple):
    """The columns of a tape with one item for each row, all int32; see `tape.Tape`."""

    line: Any
    bounds: Any
    name: Any
    properties: Any


class ValueColumns(NamedTuple):
    """The columns of a tape with one item for each value; see `tape.Tape`."""

    key: Any
    row: Any
    kind: Any
    start: Any
    end: Any


@compiled
def count_colons_and_lines(data):
    """The number of colons, and that of line ends.

    Every value follows a colon, so there are at most as many values.
    """
    colons = lines = 0
    # sums instead of branches, so that LLVM can use vector instructions
    for byte in data:
        colons += byte == COLON
        lines += byte == NEWLINE
    return colons, lines


@compiled
def scan_lines(block, name_key, properties_key, grouped, rows, values, keys, odd):
    """Scan a block of lines.

    Args:
        block: uint8, the lines and the padding.
        name_key: uint8, see `RowKind`, as the next two.
        properties_key: uint8.
        grouped: whether rows with the same name have similar properties.
        rows: addresses of `RowColumns`, with room for all lines.
        values: addresses of `ValueColumns`, with room for as many values as there are colons.
        keys: addresses of a `KeyTable`.
        odd: int64, shape (lines, 3), to be filled with number, start and end of each odd line.

    Returns:
        How many rows, values, properties and odd lines there are.
    """
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


@compiled
def _scan_row(data, at, line, row, wanted, grouped, rows, values, count, keys, key_count):
    """Past the row at `at`, or -1; how many values and how many properties there are.

    If the row turns out to be odd, `count` goes back to where it was, so that the next row
    overwrites its values. Properties it added to the table stay there, without values.
    """
    has_name = has_properties = False
    # without the name, all rows are alike; it mostly comes before the properties
    seed = 0
    first = count
    byte = byte_at(data, at)
    # two members: after { the first of them, after a comma the other
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
            seed = hash_bytes(data, at + 1, end) if grouped else 0
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
def _scan_properties(data, at, line, row, seed, values, count, keys, key_count):
    """Past the object at `at`, or -1; how many values and how many properties there are."""
    at = skip_spaces(data, at + 1)
    if byte_at(data, at) == CLOSE:
        return at + 1, count, key_count
    key = 0
    while byte_at(data, at) == QUOTE:
        key, at, key_count = find_key(data, at + 1, line, keys, key_count, seed, key)
        if key < 0:
            break
        at = start = value_start(data, at)
        if at < 0:
            break
        byte = byte_at(data, at)
        if byte == QUOTE:
            end, rewrite = string_end(data, at + 1)
            # the text is between the quotes
            kind, start, at = TEXT, at + 1, end + 1 if end >= 0 else -1
        elif byte == OPEN or byte == OPEN_LIST:
            end, rewrite = nested_end(data, at)
            kind, at = JSON, end
        else:
            end, kind, value = scalar_end(data, at)
            rewrite, at = False, end
            if kind != DOUBLE:
                # the value itself takes the place of where its text starts
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
    """Whether the bytes [at, end) are the `size` bytes at the address `key`."""
    if end - at != size:
        return False
    for place in range(size):
        if byte_at(data, at + place) != byte_at(key, place):
            return False
    return True


@compiled
def _line_end(data, at):
    while byte_at(data, at) != NEWLINE:
        at += 1
    return at
