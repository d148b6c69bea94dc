"""Lines into typed arrays, row by row: exact whatever is in them, and slow.

Pure and stateless. For small blocks, and for the lines of big ones that are out of the ordinary:
what no database takes is repaired and counted, keys where none should be are kept.

No array is built by inference: `pa.array([1, 2.5], pa.int64())` is `[1, 2]`, and says nothing.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from .. import constants
from .json_values import INT64_END, Repairs, content_digest, dump_json, repair_row
from .value_types import JsonType, Row, RowKind, Typed

SMALL_GROUP = 64
"""Event types with fewer rows in a block than this are decoded together."""

_INEXACT_NUMBER = r"[:,\[]-?[0-9.]+e\+?[0-9]{2}"
"""How `orjson` writes a number it could only hold as a float; it may have been a long integer."""

_JSON_TYPES: dict[type, JsonType] = {
    bool: JsonType.BOOL,
    int: JsonType.BIGINT,
    float: JsonType.DOUBLE,
    str: JsonType.TEXT,
    list: JsonType.JSON,
    dict: JsonType.JSON,
}
ARROW_TYPES: dict[JsonType, pa.DataType] = {
    JsonType.BOOL: pa.bool_(),
    JsonType.BIGINT: pa.int64(),
    JsonType.DOUBLE: pa.float64(),
    JsonType.TEXT: pa.string(),
    JsonType.JSON: pa.string(),
}


class Decoded(NamedTuple):
    """A block of rows as arrow columns."""

    table: pa.Table
    """`name` (text), `position` (int64, of the row in its window), `digest` (text) and
    `raw_properties` (JSON text) if asked for, and a column named by `Typed.field` for each property
    and JSON type met; rows in no particular order."""
    repairs: Repairs


@dataclass(frozen=True)
class _Line:
    """A line read, with what is needed to read it again more exactly."""

    text: bytes
    position: int
    name: str
    properties: Row
    exact: bool


@dataclass(frozen=True)
class RowDecoder:
    """Decodes lines of one kind, each by itself."""

    kind: RowKind
    only: tuple[str, ...] | None = None
    """Decode just these properties into columns; None for all."""
    raw: bool = False
    """Whether to add the column `raw_properties`."""
    digest: bool = False
    """Whether to add the column `digest`, which changes when anything on the row does."""

    def decode_lines(self, lines: Iterable[tuple[int, bytes]]) -> Decoded:
        """Decode lines, each given with its position."""
        repairs: Repairs = Counter()
        tables = [self._to_table([], repairs)]
        given = iter(lines)
        while some := [*islice(given, constants.BLOCK_ROWS)]:
            with _collector_paused():
                read = [self._read(line, position, repairs) for position, line in some]
                tables += [self._to_table(group, repairs) for group in self._groups(read)]
        return Decoded(pa.concat_tables(tables, promote_options="default"), repairs)

    def _read(self, text: bytes, position: int, repairs: Repairs) -> _Line:
        exact = b"\\u0000" in text
        if not exact:
            try:
                row = orjson.loads(text)
            except orjson.JSONDecodeError:
                exact = True
        if exact:
            row = repair_row(text, repairs)
        name = row[self.kind.name_key]
        if isinstance(name, float):  # maybe an integer that only looks like one
            name = repair_row(text, Counter())[self.kind.name_key]
        return _Line(text, position, str(name), self.kind.properties(row), exact)

    def _groups(self, lines: list[_Line]) -> Iterator[list[_Line]]:
        if not self.kind.grouped:
            yield lines
            return
        groups: dict[str, list[_Line]] = {}
        for line in lines:
            groups.setdefault(line.name, []).append(line)
        yield [line for group in groups.values() if len(group) < SMALL_GROUP for line in group]
        yield from (group for group in groups.values() if len(group) >= SMALL_GROUP)

    def _to_table(self, lines: list[_Line], repairs: Repairs) -> pa.Table:
        rows = [line.properties for line in lines]
        arrays, doubtful = self._to_arrays(rows)
        doubtful = {number for number in doubtful if not lines[number].exact}
        if doubtful:
            for number in doubtful:
                rows[number] = self.kind.properties(repair_row(lines[number].text, repairs))
            arrays, _ = self._to_arrays(rows)
        fixed = {
            "name": pa.array([line.name for line in lines], pa.string()),
            "position": pa.array([line.position for line in lines], pa.int64()),
        }
        if self.digest:
            contents = ([line.name, row] for line, row in zip(lines, rows, strict=True))
            digests = [content_digest(content).hex() for content in contents]
            fixed["digest"] = pa.array(digests, pa.string())
        if self.raw:
            raw = [self._raw_properties(line, row) for line, row in zip(lines, rows, strict=True)]
            fixed["raw_properties"] = pa.array(raw, pa.string())
        return pa.table(fixed | {typed.field: array for typed, array in arrays.items()})

    def _to_arrays(self, rows: list[Row]) -> tuple[dict[Typed, pa.Array], set[int]]:
        """The arrays, and the numbers of the rows whose values they may not hold exactly."""
        arrays: dict[Typed, pa.Array] = {}
        doubtful: set[int] = set()
        names = dict.fromkeys(chain.from_iterable(rows)) if self.only is None else self.only
        for name in names:
            values = [row.get(name) for row in rows]
            kinds = {_JSON_TYPES[kind] for kind in set(map(type, values)) if kind in _JSON_TYPES}
            for kind in kinds:
                mine = values if len(kinds) == 1 else _of_kind(values, kind)
                arrays[Typed(name, kind)], inexact = _BUILDERS[kind](mine)
                doubtful.update(inexact)
        return arrays, doubtful

    def _raw_properties(self, line: _Line, row: Row) -> str:
        if line.exact:
            return dump_json(row)
        beside = _decode_raw(line.text)
        del beside[self.kind.name_key]
        properties = bytes(beside.pop(self.kind.properties_key, b"{}"))
        if not beside:
            return properties.decode()
        members = {**beside, **_decode_raw(properties)}
        texts = (f"{dump_json(name)}:{bytes(value).decode()}" for name, value in members.items())
        return f"{{{','.join(texts)}}}"


_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _of_kind(values: list[Any], kind: JsonType) -> list[Any]:
    return [value if _JSON_TYPES.get(type(value)) is kind else None for value in values]


Built = tuple[pa.Array, Sequence[int]]


def _build_plain(kind: JsonType) -> Callable[[list[Any]], Built]:
    arrow_type = ARROW_TYPES[kind]
    return lambda values: (pa.array(values, arrow_type), ())


def _build_bigint(values: list[Any]) -> Built:
    try:
        return pa.array(values, pa.int64()), ()
    except OverflowError:
        big = [
            number
            for number, value in enumerate(values)
            if value is not None and not -INT64_END <= value < INT64_END
        ]
        return pa.nulls(len(values), pa.int64()), big


def _build_double(values: list[Any]) -> Built:
    array = pa.array(values, pa.float64())
    is_doubtful = pc.greater_equal(pc.abs(array), float(INT64_END))
    return array, pc.indices_nonzero(is_doubtful).to_pylist()


def _build_json(values: list[Any]) -> Built:
    array = pa.array([None if v is None else dump_json(v) for v in values], pa.string())
    return array, pc.indices_nonzero(pc.match_substring_regex(array, _INEXACT_NUMBER)).to_pylist()


_BUILDERS: dict[JsonType, Callable[[list[Any]], Built]] = {
    JsonType.BOOL: _build_plain(JsonType.BOOL),
    JsonType.BIGINT: _build_bigint,
    JsonType.DOUBLE: _build_double,
    JsonType.TEXT: _build_plain(JsonType.TEXT),
    JsonType.JSON: _build_json,
}


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking thousands of young dicts; it doubles the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
