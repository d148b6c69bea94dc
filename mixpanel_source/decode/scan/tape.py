"""Blocks of lines as tapes: the place of each value of each property, without a Python object.

A line is *plain* if it is a row as Mixpanel writes rows: strict JSON, the two keys of its kind and
no other, no property twice, no value that a database cannot store unchanged. Any other line is
*odd*: it is listed, and left to `rows`. In doubt a line is odd.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from ... import constants
from ..value_types import RowKind
from .characters import NEWLINE
from .key_table import GUESSES, MAX_KEYS, SLOTS, KeyTable
from .memory import PADDING
from .scanner import RowColumns, ValueColumns, count_colons_and_lines, scan_lines


class Tape(NamedTuple):
    """The plain lines of a block. Offsets count bytes from the start of the block."""

    data: NDArray[np.uint8]
    """The block, and `PADDING` bytes."""
    lines: NDArray[np.int32]
    """For each row the number of its line in the block."""
    bounds: NDArray[np.int32]
    """Shape (rows, 2): start and end of the line."""
    names: NDArray[np.int32]
    """Shape (rows, 3): start and end of the name's text, and `REWRITE` or 0."""
    properties: NDArray[np.int32]
    """Shape (rows, 2): start and end of the JSON text of the properties."""
    keys: list[str]
    """The names of the properties, in the order they were met."""
    key: NDArray[np.int32]
    """For each value the number of its property."""
    row: NDArray[np.int32]
    """For each value its row, ascending: the values of a row stand together."""
    kind: NDArray[np.int8]
    """For each value its kind, and `REWRITE` if its text has to be rewritten."""
    start: NDArray[np.int64]
    """For each value the start of its text; for integers and truth values the value itself."""
    end: NDArray[np.int32]
    """For each value the end of its text."""
    odd: list[tuple[int, bytes]]
    """Number and bytes of each line that is not plain."""

    def line(self, row: int) -> bytes:
        """The bytes of a row's line."""
        start, end = self.bounds[row]
        text: bytes = self.data[start:end].tobytes()
        return text

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        arrays = (part.nbytes for part in self if isinstance(part, np.ndarray))
        return sum(arrays) + sum(len(line) for _, line in self.odd)


def scan(block: bytes, kind: RowKind) -> Tape:
    r"""Find the values in a block of lines.

    Args:
        block: lines that each end with `\n`.
        kind: of the rows.

    Raises:
        OverflowError: the block has more than `constants.MAX_SCAN_BYTES`. The compiled code checks
            no bounds, and offsets beyond 32 bits would point outside of the block.
    """
    if len(block) > constants.MAX_SCAN_BYTES:
        raise OverflowError(f"a block has {len(block):,} bytes")
    data = _pad(block)
    colons, line_count = count_colons_and_lines(data[: len(block)])
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
    # copied, to release the room for more values than there are
    found = ValueColumns(*(array[:count].copy() for array in values))
    return Tape(
        data,
        rows.line[:, 0],
        rows.bounds,
        rows.name,
        rows.properties,
        _read_names(block, keys, key_count),
        found.key,
        found.row,
        found.kind,
        found.start,
        found.end,
        [(number, block[start:end]) for number, start, end in odd[:odd_count].tolist()],
    )


def _pad(block: bytes) -> NDArray[np.uint8]:
    """A copy of the block that compiled code may read past the end of."""
    size = len(block)
    data = np.empty(size + PADDING, np.uint8)
    data[:size] = np.frombuffer(block, np.uint8)
    # every loop of the scanner ends at a newline
    data[size:] = NEWLINE
    return data


def _read_names(block: bytes, keys: KeyTable, count: int) -> list[str]:
    """The names of properties, with their escapes resolved."""
    spans = zip(keys.start[:count].tolist(), keys.size[:count].tolist(), strict=True)
    # from the opening quote to the closing one
    return [orjson.loads(block[start - 1 : start + size + 1]) for start, size in spans]


def _addresses(arrays: Any) -> Any:
    """A named tuple of the addresses of arrays in a named tuple; it does not keep them alive."""
    return type(arrays)(*(array.ctypes.data for array in arrays))
