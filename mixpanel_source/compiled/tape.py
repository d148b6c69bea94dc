"""Blocks of lines as tapes: which value of which property is where, without a Python object.

A line is *plain* if it is a row as Mixpanel writes rows: strict JSON, the two keys of its kind and
no other, no property twice, no value that a database would not take as it is. Everything else is
*odd*: its place is noted, and it is left to `rows`. In doubt a line is odd.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import orjson
from numba import njit

from ..kinds import RowKind
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
)
from .memory import PADDING, byte_at, compiled, word_at

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

_FNV_START, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_HALF = np.uint64(32)


class Tape(NamedTuple):
    """The plain lines of a block."""

    data: Any
    """uint8: the block, and `PADDING` bytes."""
    lines: Any
    """int32, one a row: number of its line in the block."""
    bounds: Any
    """int32, two a row: where its line starts and ends."""
    names: Any
    """int32, three a row: start and end of the name's text, and `REWRITE` or 0."""
    properties: Any
    """int32, two a row: start and end of the JSON text of the properties."""
    keys: list[str]
    """The properties, in the order they were met."""
    key: Any
    """int32: of each value the number of its property."""
    row: Any
    """int32: of each value its row, ascending for a property."""
    kind: Any
    """int8: of each value its kind, and `REWRITE` if its text cannot be taken as it is."""
    start: Any
    """int64: where its text starts; of integers and truth values the value."""
    end: Any
    """int32: where its text ends."""
    odd: list[tuple[int, bytes]]
    """Number and bytes of the lines that are not plain."""

    def line(self, row: int) -> bytes:
        """The bytes of a row."""
        start, end = self.bounds[row]
        text: bytes = self.data[start:end].tobytes()
        return text

    def without(self, dropped: Collection[int]) -> Tape:
        """The tape without the lines of those numbers."""
        left_out = frozenset(dropped)
        kept = ~np.isin(self.lines, [*left_out])
        stays = kept[self.row]
        return Tape(
            self.data,
            self.lines[kept],
            self.bounds[kept],
            self.names[kept],
            self.properties[kept],
            self.keys,
            self.key[stays],
            (np.cumsum(kept, dtype=np.int32) - 1)[self.row[stays]],
            self.kind[stays],
            self.start[stays],
            self.end[stays],
            [(number, line) for number, line in self.odd if number not in left_out],
        )

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        arrays = (part.nbytes for part in self if isinstance(part, np.ndarray))
        return sum(arrays) + sum(len(line) for _, line in self.odd)


def scan(block: bytes, kind: RowKind) -> Tape:
    r"""Find the values in a block of lines.

    Args:
        block: lines, each ended by `\n`; at most 1 GB.
        kind: where the parts of a row are.
    """
    size = len(block)
    data = np.empty(size + PADDING, np.uint8)
    data[:size] = np.frombuffer(block, np.uint8)
    data[size:] = NEWLINE
    colons, line_count = _count(data[:size])
    lines = np.empty(line_count, np.int32)
    bounds, names, properties = (np.empty((line_count, width), np.int32) for width in (2, 3, 2))
    odd = np.empty((line_count, 3), np.int64)
    values = _Values(
        *(np.empty(colons, kind) for kind in (np.int32, np.int32, np.int8, np.int64, np.int32))
    )
    keys = _Keys(
        np.empty(MAX_KEYS, np.int32),
        np.empty(MAX_KEYS, np.int32),
        np.empty(MAX_KEYS, np.int32),
        np.full(MAX_KEYS, -1, np.int32),
        np.full(2 * MAX_KEYS, -1, np.int32),
    )
    wanted = [np.frombuffer(key.encode(), np.uint8) for key in (kind.name_key, kind.properties_key)]
    rows, count, key_count, odd_count = _scan_lines(
        data, *wanted, lines, bounds, names, properties, values, keys, odd
    )
    spans = zip(keys.start[:key_count].tolist(), keys.size[:key_count].tolist(), strict=True)
    # copies, for the arrays have room for a value a colon
    found = _Values(*(array[:count].copy() for array in values))
    return Tape(
        data,
        lines[:rows],
        bounds[:rows],
        names[:rows],
        properties[:rows],
        [orjson.loads(block[start - 1 : start + length + 1]) for start, length in spans],
        found.key,
        found.row,
        found.kind,
        found.start,
        found.end,
        [(number, block[start:end]) for number, start, end in odd[:odd_count].tolist()],
    )


class _Values(NamedTuple):
    """The columns of `Tape` that have a line a value."""

    key: Any
    row: Any
    kind: Any
    start: Any
    end: Any


class _Keys(NamedTuple):
    """The properties met in a block."""

    start: Any
    size: Any
    last_line: Any
    """The line a property was met in last: in one row it must not be met twice."""
    next: Any
    """The property that followed last time, and mostly follows again."""
    slots: Any
    """A hash table of open addressing: the number of a property, or -1."""


@compiled
def _count(data):
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
def _slot(data, at, end, keys):
    """The slot in which the property named between `at` and `end` is, or may be put."""
    digest = _FNV_START
    for place in range(at, end):
        digest = (digest ^ np.uint64(byte_at(data, place))) * _FNV_PRIME
    last = keys.slots.size - 1
    slot = np.int64(digest >> _HALF) & last
    while True:
        key = keys.slots[slot]
        if key < 0 or (keys.size[key] == end - at and _same(data, at, keys.start[key], end - at)):
            return slot
        slot = (slot + 1) & last


@njit(nogil=True, inline="always")
def _find_key(data, at, line, keys, count, previous):
    """The property named at `at`, or -1; where its name ends; how many properties there are."""
    key = keys.next[previous]
    if key >= 0:
        end = at + keys.size[key]
        if byte_at(data, end) != QUOTE or not _same(data, at, keys.start[key], keys.size[key]):
            key = -1
    if key < 0:
        end, _ = string_end(data, at)
        if end >= 0:
            slot = _slot(data, at, end, keys)
            key = keys.slots[slot]
            if key < 0 and count < MAX_KEYS and end - at <= MAX_KEY_BYTES:
                key = count
                count += 1
                keys.slots[slot] = key
                keys.start[key], keys.size[key], keys.last_line[key] = at, end - at, -1
            if key >= 0:
                keys.next[previous] = key
    if key >= 0:
        if keys.last_line[key] == line:
            key = -1
        else:
            keys.last_line[key] = line
    return key, end, count


@compiled
def _scan_properties(data, at, line, row, values, count, keys, key_count):
    """Past the object at `at`, or -1; how many values and how many properties there are."""
    at = skip_spaces(data, at + 1)
    if byte_at(data, at) == CLOSE:
        return at + 1, count, key_count
    key = 0
    while byte_at(data, at) == QUOTE:
        key, at, key_count = _find_key(data, at + 1, line, keys, key_count, key)
        if key < 0:
            break
        at = skip_spaces(data, at + 1)
        if byte_at(data, at) != COLON:
            break
        at = start = skip_spaces(data, at + 1)
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
            values.key[count] = key
            values.row[count] = row
            values.kind[count] = kind | REWRITE if rewrite else kind
            values.start[count] = start
            values.end[count] = end
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
def _is_key(data, at, end, key):
    if end - at != key.size:
        return False
    for place in range(key.size):
        if byte_at(data, at + place) != key[place]:
            return False
    return True


@compiled
def _scan_row(
    data, at, line, row, name_key, properties_key, names, properties, values, count, keys, key_count
):
    """Past the row at `at`, or -1; how many values and how many properties there are."""
    has_name = has_properties = False
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
        at = skip_spaces(data, key_end + 1)
        if byte_at(data, at) != COLON:
            break
        at = start = skip_spaces(data, at + 1)
        byte = byte_at(data, at)
        if byte == QUOTE and not has_name and _is_key(data, key, key_end, name_key):
            end, escaped = string_end(data, at + 1)
            if end < 0:
                break
            names[row, 0], names[row, 1], names[row, 2] = at + 1, end, REWRITE if escaped else 0
            at = end + 1
            has_name = True
        elif byte == OPEN and not has_properties and _is_key(data, key, key_end, properties_key):
            at, count, key_count = _scan_properties(
                data, at, line, row, values, count, keys, key_count
            )
            if at < 0:
                break
            properties[row, 0], properties[row, 1] = start, at
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
def _scan_lines(
    block, name_key, properties_key, lines, bounds, names, properties, values, keys, odd
):
    """How many rows, values, properties and odd lines there are."""
    data = block.ctypes.data
    rows = count = key_count = odd_count = at = 0
    for line in range(lines.size):
        end, count, key_count = _scan_row(
            data,
            at,
            line,
            rows,
            name_key,
            properties_key,
            names,
            properties,
            values,
            count,
            keys,
            key_count,
        )
        if end >= 0:
            lines[rows], bounds[rows, 0], bounds[rows, 1] = line, at, end - 1
            rows += 1
        else:
            end = _line_end(data, at)
            odd[odd_count, 0], odd[odd_count, 1], odd[odd_count, 2] = line, at, end
            odd_count += 1
            end += 1
        at = end
    return rows, count, key_count, odd_count
