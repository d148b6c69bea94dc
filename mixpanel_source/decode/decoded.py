"""Decoded rows: arrow arrays by property and JSON type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import pyarrow as pa

from .json_values import Repairs
from .value_types import JsonType, Typed

ARROW_TYPES: dict[JsonType, pa.DataType] = {
    JsonType.BOOL: pa.bool_(),
    JsonType.BIGINT: pa.int64(),
    JsonType.DOUBLE: pa.float64(),
    JsonType.TEXT: pa.string(),
    JsonType.JSON: pa.string(),
}
"""The type of the array for each JSON type."""


@dataclass(frozen=True)
class Selection:
    """What to decode of each row."""

    only: tuple[str, ...] | None = None
    """Names of the properties to decode into arrays; None for all."""
    raw: bool = False
    """Whether to decode `Decoded.raw_properties`."""
    digest: bool = False
    """Whether to decode `Decoded.digests`."""


ALL_PROPERTIES = Selection()


@dataclass(frozen=True)
class Decoded:
    """Rows as arrow arrays with an item for each row; the rows are in no particular order."""

    names: pa.Array
    """string: the names of events, or the ids of profiles."""
    positions: pa.Array
    """int64: the position of each row in its window."""
    properties: dict[Typed, pa.Array]
    """The values of each property and JSON type, of the type in `ARROW_TYPES`; null where a row has
    no such value."""
    digests: pa.Array | None = None
    """string, hexadecimal: differs for rows that differ in their name or any property."""
    raw_properties: pa.Array | None = None
    """string: all properties as JSON text."""
    repairs: Repairs = field(default_factory=Counter)
    """Of these rows, see `json_values`."""

    @property
    def row_count(self) -> int:
        """The number of rows."""
        return len(self.names)

    def iter_batches(self, max_rows: int) -> Iterator[Decoded]:
        """Yields the rows in parts of at most `max_rows`; the first has all of the repairs."""
        if 0 < self.row_count <= max_rows:
            yield self
            return
        for start in range(0, self.row_count, max_rows):
            yield self._slice(start, max_rows, Counter() if start else self.repairs)

    def filter(self, mask: pa.Array) -> Decoded:
        """The rows where `mask` (bool) is true, with the repairs of all rows."""
        digests, raw = self.digests, self.raw_properties
        return Decoded(
            self.names.filter(mask),
            self.positions.filter(mask),
            {typed: array.filter(mask) for typed, array in self.properties.items()},
            None if digests is None else digests.filter(mask),
            None if raw is None else raw.filter(mask),
            self.repairs,
        )

    def with_properties(self, names: Collection[str]) -> Decoded:
        """The rows with only the properties of those names in arrays."""
        kept = {typed: a for typed, a in self.properties.items() if typed.name in names}
        return replace(self, properties=kept)

    def _slice(self, start: int, max_rows: int, repairs: Repairs) -> Decoded:
        digests, raw = self.digests, self.raw_properties
        return Decoded(
            self.names.slice(start, max_rows),
            self.positions.slice(start, max_rows),
            {typed: array.slice(start, max_rows) for typed, array in self.properties.items()},
            None if digests is None else digests.slice(start, max_rows),
            None if raw is None else raw.slice(start, max_rows),
            repairs,
        )


def concat(parts: Sequence[Decoded]) -> Decoded:
    """The rows of one or more parts of the same selection, in the order of the parts."""
    if len(parts) == 1:
        return parts[0]
    keys = dict.fromkeys(chain.from_iterable(part.properties for part in parts))
    return Decoded(
        pa.concat_arrays([part.names for part in parts]),
        pa.concat_arrays([part.positions for part in parts]),
        {typed: _concat_property(typed, parts) for typed in keys},
        _concat_given([part.digests for part in parts]),
        _concat_given([part.raw_properties for part in parts]),
        sum((part.repairs for part in parts), Repairs()),
    )


def _concat_property(typed: Typed, parts: Sequence[Decoded]) -> pa.Array:
    arrow_type = ARROW_TYPES[typed.type]
    arrays = (part.properties.get(typed) for part in parts)
    return pa.concat_arrays(
        [
            pa.nulls(part.row_count, arrow_type) if array is None else array
            for part, array in zip(parts, arrays, strict=True)
        ]
    )


def _concat_given(arrays: Sequence[pa.Array | None]) -> pa.Array | None:
    return None if arrays[0] is None else pa.concat_arrays(arrays)
