"""Which column of a table the values of a property go to.

Pure. `ColumnMap` is the only place that knows the stored columns of a table. It is made from the
columns that earlier loads assigned, adds columns for new properties, and is stored again with the
data. A property keeps its columns forever, whatever other properties there are.

- Name: the property's name in snake case; `$browser` is `mp_browser`, as in Mixpanel's own
  pipelines. If that name is taken, or has lost letters (`日本`), eight hexadecimal digits of a hash
  of the property's name follow.
- Type: the column has the type of the property's first values. Values of another type go to a
  variant column, named as dlt names them: `price__v_text`. An integer that a double holds exactly
  goes into a double column.
- Cap: once the table has its maximum of columns, new properties become keys of one JSON column. So
  do the last properties of a row that has more values than a row may have.

Source: https://docs.mixpanel.com/docs/data-pipelines (names of properties),
https://dlthub.com/docs/general-usage/schema (variant columns).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import count
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from .. import constants
from .column_names import hashed_name, readable_name, variant_name
from .json_values import dump_json
from .value_types import JsonType, Typed

OVERFLOW = "other_properties"
RESERVED = frozenset(
    ("properties", OVERFLOW, "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"),
)
"""Names no property's column may have: our own columns, and PostgreSQL's system columns.

Source: https://www.postgresql.org/docs/current/ddl-system-columns.html.
"""
ROW_VALUES = 400
"""Maximum number of properties of a row that go to columns of their own.

A row of PostgreSQL has 8160 bytes, and a value stored elsewhere still takes up to 18 of them.
Source: https://www.postgresql.org/docs/current/limits.html.
"""
EXACT_IN_DOUBLE = 2**53


class Placed(NamedTuple):
    """Values of a property, and the column they go to."""

    property: str
    column: str
    type: JsonType
    """The type of the values; that of the column may be another."""
    values: pa.Array
    """Null where a row has no such value."""


class StoredColumn(NamedTuple):
    """A column with values of a property, as a row of `_mixpanel_columns`."""

    property: str
    column_name: str
    data_type: str
    """dlt's name of its type."""


class ColumnMap:
    """The columns of one table."""

    def __init__(
        self,
        fixed: Mapping[str, str | None],
        stored: Iterable[Sequence[str]] = (),
        *,
        max_columns: int = constants.MAX_COLUMNS,
    ) -> None:
        """Restore the columns of earlier loads.

        Args:
            fixed: columns that every row has -> the property each is taken from, if any.
            stored: the property `stored` of the map of the load before.
            max_columns: the number of columns at which new properties go to one JSON column.
        """
        self._fixed = fixed
        self._max_columns = max_columns
        self._reset([StoredColumn(*column) for column in stored])

    def _reset(self, stored: Iterable[StoredColumn]) -> None:
        """Begin anew with these columns."""
        self._columns = {*self._fixed}
        self._bases: dict[str, tuple[str, JsonType | None]] = {
            name: (column, None) for column, name in self._fixed.items() if name is not None
        }
        self._variants: dict[Typed, str] = {}
        self._stored: dict[StoredColumn, None] = {}
        for column in stored:
            self._restore(column)

    @property
    def stored(self) -> list[StoredColumn]:
        """All columns assigned to properties, in the order of assignment."""
        return list(self._stored)

    @property
    def json_columns(self) -> list[str]:
        """The columns that hold JSON text."""
        return [column.column_name for column in self._stored if column.data_type == "json"]

    def place(self, properties: Mapping[Typed, pa.Array], *, rows: int) -> dict[str, pa.Array]:
        """The columns of decoded properties; new properties are assigned their columns.

        Args:
            properties: arrays of length `rows`, null where a row has no such value.
            rows: the number of rows.

        Returns:
            Column -> array of length `rows`, of the column's type; JSON as text.
        """
        by_name: dict[str, dict[JsonType, pa.Array]] = {}
        for (name, kind), array in properties.items():
            if array.null_count < rows:
                by_name.setdefault(name, {})[kind] = array
        names = sorted(by_name, key=lambda name: (readable_name(name) != name, name))
        placed = [part for name in names for part in self._place_property(name, by_name[name])]
        if len(placed) > ROW_VALUES and _widest_row(placed) > ROW_VALUES:
            placed = [*self._narrow(placed, rows)]
        columns: dict[str, list[pa.Array]] = {}
        for part in placed:
            if part.column != OVERFLOW:
                columns.setdefault(part.column, []).append(part.values)
        merged = {
            column: arrays[0] if len(arrays) == 1 else pc.coalesce(*arrays)
            for column, arrays in columns.items()
        }
        overflow = [part for part in placed if part.column == OVERFLOW]
        return merged | ({OVERFLOW: _as_objects(overflow, rows)} if overflow else {})

    def adopt(self, base: Sequence[StoredColumn], assigned: Sequence[StoredColumn]) -> bool:
        """Assign columns as another map did that began with columns of this one.

        Args:
            base: the columns that the other map began with.
            assigned: those that it added, in its order.

        Returns:
            False if this map would have added others, for instance because it has given a name to
            another property meanwhile; then it is unchanged.
        """
        before = self.stored
        known = {*self._fixed.values(), *(column.property for column in base)}
        for column in assigned:
            is_new = column.property not in known
            known.add(column.property)
            # a map only grows: one that is as long as the base is the base
            if len(before) > len(base) and not self._agrees(column, is_new=is_new):
                self._reset(before)
                return False
            self._restore(column)
        return True

    def _agrees(self, column: StoredColumn, *, is_new: bool) -> bool:
        """Whether another map has assigned the column that this one has or would assign.

        Args:
            column: that was assigned.
            is_new: whether it was the first one of its property.
        """
        name, kind = column.column_name, JsonType(column.data_type)
        base = self._bases.get(column.property)
        if is_new:
            return base == (name, kind) if base else self._new_column(column.property) == name
        if column in self._stored or name == OVERFLOW:
            # the other map had no more columns than this one has, so this one is full as well
            return True
        is_free = not self._is_full and Typed(column.property, kind) not in self._variants
        return is_free and base is not None and variant_name(base[0], kind) == name

    def _place_property(self, name: str, arrays: dict[JsonType, pa.Array]) -> Iterator[Placed]:
        if name not in self._bases:
            self._admit(name, arrays)
        column, base = self._bases[name]
        for kind, array in arrays.items():
            if column == OVERFLOW or kind is base:
                yield Placed(name, column, kind, array)
            elif kind is JsonType.BIGINT and base is JsonType.DOUBLE:
                exact, inexact = _split(array, _is_exact_in_double(array))
                yield Placed(name, column, base, exact.cast(pa.float64()))
                if inexact.null_count < len(inexact):
                    yield Placed(name, self._variant(name, kind), kind, inexact)
            else:
                yield Placed(name, self._variant(name, kind), kind, array)

    def _narrow(self, placed: Iterable[Placed], rows: int) -> Iterator[Placed]:
        """Yields what was placed, with at most `ROW_VALUES` values of each row in columns."""
        used = pa.repeat(pa.scalar(0, pa.uint16()), rows)
        for part in placed:
            used = pc.add(used, _count_values(part))
            kept, rest = _split(part.values, pc.less_equal(used, ROW_VALUES))
            if part.column == OVERFLOW or rest.null_count == rows:
                yield part
            else:
                self._restore(StoredColumn(part.property, OVERFLOW, JsonType.JSON.value))
                yield part._replace(values=kept)
                yield part._replace(column=OVERFLOW, values=rest)

    def _admit(self, name: str, arrays: Mapping[JsonType, pa.Array]) -> None:
        """Assign a new property its column, of the type most of its values have."""
        column = self._new_column(name)
        kind = max(arrays, key=lambda kind: (len(arrays[kind]) - arrays[kind].null_count, kind))
        if kind is JsonType.BIGINT and JsonType.DOUBLE in arrays:
            kind = JsonType.DOUBLE
        data_type = JsonType.JSON if column == OVERFLOW else kind
        self._restore(StoredColumn(name, column, data_type.value))

    def _variant(self, name: str, kind: JsonType) -> str:
        """The column for values of another type than their property's column."""
        known = self._variants.get(Typed(name, kind))
        if known is not None:
            return known
        column = variant_name(self._bases[name][0], kind)
        if self._is_full:
            self._variants[Typed(name, kind)] = OVERFLOW
            self._restore(StoredColumn(name, OVERFLOW, JsonType.JSON.value))
            return OVERFLOW
        self._restore(StoredColumn(name, column, kind.value))
        return column

    @property
    def _is_full(self) -> bool:
        return len(self._columns) >= self._max_columns

    def _new_column(self, name: str) -> str:
        if self._is_full:
            return OVERFLOW
        column = readable = readable_name(name)
        attempts = count()
        while column in self._columns or column in RESERVED:
            column = hashed_name(readable, name, attempt=next(attempts))
        return column

    def _restore(self, stored: StoredColumn) -> None:
        """Add a column: a property's first column is its own, the others are variants."""
        self._stored[stored] = None
        self._columns.add(stored.column_name)
        kind = JsonType(stored.data_type)
        if stored.property not in self._bases:
            self._bases[stored.property] = (stored.column_name, kind)
        elif stored.column_name != OVERFLOW:
            self._variants[Typed(stored.property, kind)] = stored.column_name


def _widest_row(placed: Iterable[Placed]) -> int:
    """The maximum number of values in a row."""
    return int(pc.max(reduce(pc.add, map(_count_values, placed))).as_py())


def _count_values(placed: Placed) -> pa.Array:
    """1 for each row that has a value, else 0."""
    return pc.is_valid(placed.values).cast(pa.uint16())


def _is_exact_in_double(integers: pa.Array) -> pa.Array:
    # not by the absolute value: that of -2^63 is not an int64
    return pc.and_(
        pc.greater_equal(integers, -EXACT_IN_DOUBLE), pc.less_equal(integers, EXACT_IN_DOUBLE)
    )


def _split(array: pa.Array, condition: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The values where the condition holds, and the values where it does not; null elsewhere."""
    return pc.if_else(condition, array, None), pc.if_else(condition, None, array)


def _as_objects(placed: Iterable[Placed], rows: int) -> pa.Array:
    """A JSON object for each row, of the properties without a column; null if there are none."""
    members: list[list[str]] = [[] for _ in range(rows)]
    for part in placed:
        key = dump_json(part.property)
        for row, value in enumerate(part.values.to_pylist()):
            if value is not None:
                text = value if part.type is JsonType.JSON else dump_json(value)
                members[row].append(f"{key}:{text}")
    return pa.array([f"{{{','.join(row)}}}" if row else None for row in members], pa.string())
