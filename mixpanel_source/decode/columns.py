"""Properties into columns: which name, which type, and where a value goes that fits neither.

Pure. `ColumnMap` is the one place that knows the stored columns of a table. It is made from what
the loads before stored, adds the properties that are new, and is stored again with the data; a
property keeps its columns for ever, and what else is on a row never matters.

- Name: the property's own, in snake case; `$browser` is `mp_browser`, as in Mixpanel's own
  pipelines. Where that name is another's already, or says too little (`日本`), eight hexadecimal
  digits made from the property's name follow.
- Type: a property's first type is its column's. Values of another type go to a variant column, as
  dlt's do: `price__v_text`. A whole number that a double holds exactly goes into a double column.
- Cap: when the columns are used up, properties become keys of one JSON column. So do the last of a
  row that has more values than a row may have.

Source: https://docs.mixpanel.com/docs/data-pipelines (names of properties),
https://dlthub.com/docs/general-usage/schema (variant columns).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from hashlib import blake2b
from itertools import count
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from .. import constants
from .json_values import dump_json
from .value_types import JsonType, Typed

OVERFLOW = "other_properties"
RESERVED = frozenset(
    ("properties", OVERFLOW, "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"),
)
"""Columns that are never a property's own: ours, and those every table in PostgreSQL has.

Source: https://www.postgresql.org/docs/current/ddl-system-columns.html.
"""
ROW_VALUES = 400
"""Most properties of a row that go to columns of their own.

A row of PostgreSQL has 8160 bytes, of which a value takes up to 18 that cannot be moved elsewhere.
Source: https://www.postgresql.org/docs/current/limits.html.
"""
EXACT_IN_DOUBLE = 2**53
VARIANT_MARK = "__v_"

_VARIANT_BYTES = len(VARIANT_MARK) + max(len(kind.value) for kind in JsonType)
_NAME_BYTES = constants.MAX_IDENTIFIER_BYTES - _VARIANT_BYTES
_HASH_DIGITS = 8


class Placed(NamedTuple):
    """Values of a property, and where they go."""

    property: str
    column: str
    type: JsonType
    """Of the values, not of the column."""
    values: pa.Array


class StoredColumn(NamedTuple):
    """A row of `_mixpanel_columns`: a column that values of a property are in."""

    property: str
    column_name: str
    data_type: str


class ColumnMap:
    """The columns of one table."""

    def __init__(
        self,
        fixed: Mapping[str, str | None],
        stored: Iterable[Sequence[str]] = (),
        *,
        max_columns: int = constants.MAX_COLUMNS,
    ) -> None:
        """Take up what was stored.

        Args:
            fixed: columns that are no property's own -> the property they are taken from, if any.
            stored: the columns assigned by the loads before, as the property `stored` gives them.
            max_columns: columns of the table, from which on properties go to one JSON column.
        """
        self._columns = {*fixed}
        self._bases: dict[str, tuple[str, JsonType | None]] = {
            name: (column, None) for column, name in fixed.items() if name is not None
        }
        self._variants: dict[Typed, str] = {}
        self._max_columns = max_columns
        self._stored: dict[StoredColumn, None] = {}
        for column in stored:
            self._restore(StoredColumn(*column))

    @property
    def stored(self) -> list[StoredColumn]:
        """Every column assigned to a property so far, in the order of assignment."""
        return list(self._stored)

    @property
    def json_columns(self) -> list[str]:
        """The columns that hold JSON text."""
        return [column.column_name for column in self._stored if column.data_type == "json"]

    def place(self, properties: Mapping[Typed, pa.Array], *, rows: int) -> dict[str, pa.Array]:
        """The columns for decoded properties; properties met for the first time get theirs now.

        Args:
            properties: arrays of `rows` values each, null where a row has no such value.
            rows: how many.
        """
        by_name: dict[str, dict[JsonType, pa.Array]] = {}
        for (name, kind), array in properties.items():
            if array.null_count < rows:
                by_name.setdefault(name, {})[kind] = array
        names = sorted(by_name, key=lambda name: (readable_name(name) != name, name))
        placed = [one for name in names for one in self._place_property(name, by_name[name])]
        if len(placed) > ROW_VALUES and _widest_row(placed) > ROW_VALUES:
            placed = [*self._narrow(placed, rows)]
        columns: dict[str, list[pa.Array]] = {}
        for one in placed:
            if one.column != OVERFLOW:
                columns.setdefault(one.column, []).append(one.values)
        merged = {
            column: arrays[0] if len(arrays) == 1 else pc.coalesce(*arrays)
            for column, arrays in columns.items()
        }
        overflow = [one for one in placed if one.column == OVERFLOW]
        return merged | ({OVERFLOW: _as_objects(overflow, rows)} if overflow else {})

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
        """Yields what was placed, of each row no more than `ROW_VALUES` in columns."""
        used = pa.repeat(pa.scalar(0, pa.uint16()), rows)
        for one in placed:
            used = pc.add(used, _count_values(one))
            kept, rest = _split(one.values, pc.less_equal(used, ROW_VALUES))
            if one.column == OVERFLOW or rest.null_count == rows:
                yield one
            else:
                self._restore(StoredColumn(one.property, OVERFLOW, JsonType.JSON.value))
                yield one._replace(values=kept)
                yield one._replace(column=OVERFLOW, values=rest)

    def _admit(self, name: str, arrays: Mapping[JsonType, pa.Array]) -> None:
        """Give a new property its column, of the type that most of its values have."""
        column = self._new_column(name)
        kind = max(arrays, key=lambda kind: (len(arrays[kind]) - arrays[kind].null_count, kind))
        if kind is JsonType.BIGINT and JsonType.DOUBLE in arrays:
            kind = JsonType.DOUBLE
        data_type = JsonType.JSON if column == OVERFLOW else kind
        self._restore(StoredColumn(name, column, data_type.value))

    def _variant(self, name: str, kind: JsonType) -> str:
        """The column for values that do not have the type of their property's column."""
        known = self._variants.get(Typed(name, kind))
        if known is not None:
            return known
        column = f"{self._bases[name][0]}{VARIANT_MARK}{kind.value}"
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
            column = _with_hash(readable, name, attempt=next(attempts))
        return column

    def _restore(self, stored: StoredColumn) -> None:
        """Take up a column: the first of a property is its own, the others are variants."""
        self._stored[stored] = None
        self._columns.add(stored.column_name)
        kind = JsonType(stored.data_type)
        if stored.property not in self._bases:
            self._bases[stored.property] = (stored.column_name, kind)
        elif stored.column_name != OVERFLOW:
            self._variants[Typed(stored.property, kind)] = stored.column_name


def readable_name(name: str) -> str:
    """The column name a property would like to have, from its name alone.

    Only lower-case ASCII letters, digits and single underscores, at most 53 bytes. A name of which
    letters had to be left out carries a hash, so that what is left does not pass for all of it.
    """
    plain = unicodedata.normalize("NFKD", name.removeprefix("$"))
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3_\2\4", letters)
    text = re.sub(r"[^A-Za-z0-9]+", "_", words).strip("_").lower()
    text = f"mp_{text}".strip("_") if name.startswith("$") else text
    if text[:1].isdigit():
        text = f"_{text}"
    lost = not text or any(not c.isascii() and c.isprintable() for c in letters)
    if lost or len(text) > _NAME_BYTES:
        return _with_hash(text or "property", name)
    return text


def _with_hash(column: str, name: str, *, attempt: int = 0) -> str:
    """The column with eight digits made from the name; other digits on each attempt."""
    salt = attempt.to_bytes(2, "big")
    mark = blake2b(name.encode(), digest_size=_HASH_DIGITS // 2, salt=salt).hexdigest()
    return f"{column[: _NAME_BYTES - _HASH_DIGITS - 1].rstrip('_')}_{mark}"


def _widest_row(placed: Iterable[Placed]) -> int:
    """How many values the row has that has most."""
    return int(pc.max(reduce(pc.add, map(_count_values, placed))).as_py())


def _count_values(placed: Placed) -> pa.Array:
    """1 for each row that has a value, else 0."""
    return pc.is_valid(placed.values).cast(pa.uint16())


def _is_exact_in_double(integers: pa.Array) -> pa.Array:
    # not by the absolute value: that of -2^63 is no int64
    return pc.and_(
        pc.greater_equal(integers, -EXACT_IN_DOUBLE), pc.less_equal(integers, EXACT_IN_DOUBLE)
    )


def _split(array: pa.Array, condition: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The values where the condition holds, and those where it does not, else null."""
    return pc.if_else(condition, array, None), pc.if_else(condition, None, array)


def _as_objects(placed: Iterable[Placed], rows: int) -> pa.Array:
    """One JSON object a row, of the properties that have no column; null where there are none."""
    members: list[list[str]] = [[] for _ in range(rows)]
    for one in placed:
        key = dump_json(one.property)
        for row, value in enumerate(one.values.to_pylist()):
            if value is not None:
                text = value if one.type is JsonType.JSON else dump_json(value)
                members[row].append(f"{key}:{text}")
    return pa.array([f"{{{','.join(row)}}}" if row else None for row in members], pa.string())
