"""Blocks of lines as tapes: which value of which property is where, without a Python object.

A line is *plain* if it is a row as Mixpanel writes rows: strict JSON, the two keys of its kind and
no other, no property twice, no value that a database would not take as it is. Everything else is
*odd*: its place is noted, and it is left to `rows`. In doubt a line is odd.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import orjson

from ..value_types import RowKind
from .grammar import NEWLINE
from .memory import PADDING
from .scanner import (
    GUESSES,
    MAX_KEYS,
    SLOTS,
    KeyTable,
    RowColumns,
    ValueColumns,
    count_colons_and_lines,
    scan_lines,
)


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
    """int32: of each value its row, ascending: the values of a row are one after the other."""
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
    colons, line_count = count_colons_and_lines(data[:size])
    rows = RowColumns(*(np.empty((line_count, width), np.int32) for width in (1, 2, 3, 2)))
    odd = np.empty((line_count, 3), np.int64)
    values = ValueColumns(
        *(np.empty(colons, kind) for kind in (np.int32, np.int32, np.int8, np.int64, np.int32))
    )
    keys = KeyTable(
        *(np.empty(MAX_KEYS, np.int32) for _ in range(3)),
        *(np.full(size, -1, np.int32) for size in (GUESSES, SLOTS)),
    )
    arrays = [_addresses(columns) for columns in (rows, values, keys)]
    wanted = [np.frombuffer(key.encode(), np.uint8) for key in (kind.name_key, kind.properties_key)]
    row_count, count, key_count, odd_count = scan_lines(data, *wanted, kind.grouped, *arrays, odd)
    rows = RowColumns(*(array[:row_count] for array in rows))
    spans = zip(keys.start[:key_count].tolist(), keys.size[:key_count].tolist(), strict=True)
    # copies, for the arrays have room for a value a colon
    found = ValueColumns(*(array[:count].copy() for array in values))
    return Tape(
        data,
        rows.line[:, 0],
        rows.bounds,
        rows.name,
        rows.properties,
        [orjson.loads(block[start - 1 : start + length + 1]) for start, length in spans],
        found.key,
        found.row,
        found.kind,
        found.start,
        found.end,
        [(number, block[start:end]) for number, start, end in odd[:odd_count].tolist()],
    )


def _addresses(arrays: Any) -> Any:
    """A named tuple of where the arrays of a named tuple are in memory; it keeps none of them."""
    return type(arrays)(*(array.ctypes.data for array in arrays))
