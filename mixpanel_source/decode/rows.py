"""Lines into arrow arrays, row by row: exact for any content, and slow.

Pure and stateless. Used for small blocks, and for the lines of big ones that are not plain: values
that no database stores are repaired and counted, unexpected keys are kept.

Each array is built from values of one Python type, because arrow converts without an error:
`pa.array([1, 2.5], pa.int64())` is `[1, 2]`.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import Any

import msgspec
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from .. import constants
from .decoded import ALL_PROPERTIES, ARROW_TYPES, Decoded, Selection, concat
from .json_values import (
    INT64_END,
    Repairs,
    compact_json,
    content_digest,
    dump_json,
    repair_row,
    repair_value,
)
from .value_types import JsonType, Row, RowKind, Typed

SMALL_GROUP = 64
"""Event types with fewer rows than this in a block are decoded together."""

_INEXACT_NUMBER = r"[0-9]{19}"
"""Matches an integer that may not fit in 64 bits, which `orjson` reads as a float."""

_JSON_TYPES: dict[type, JsonType] = {
    bool: JsonType.BOOL,
    int: JsonType.BIGINT,
    float: JsonType.DOUBLE,
    str: JsonType.TEXT,
    list: JsonType.JSON,
    dict: JsonType.JSON,
}


@dataclass(frozen=True)
class _Line:
    """A row that was read, and its text, to read it again more exactly if needed."""

    text: bytes
    position: int
    name: str
    properties: Row
    exact: bool
    """Whether `repair_row` has read it, so that every value is exact."""
    kind: RowKind

    def json_text(self, name: str, value: object) -> str:
        """The JSON text of a list or an object: as it was sent, or repaired if it had to be.

        Like the compiled code, this keeps the digits of numbers and keys that are there twice.

        Args:
            name: of the property.
            value: as it was read.
        """
        raw = self._members.get(name)
        if raw is None:
            return dump_json(value)
        text = bytes(raw)
        if self.exact:
            repairs: Repairs = Counter()
            repaired = repair_value(text, repairs)
            if repairs:
                return dump_json(repaired)
        return compact_json(text)

    @cached_property
    def _members(self) -> dict[str, msgspec.Raw]:
        """The JSON text of each property; empty if only `repair_row` can read the line."""
        try:
            beside = _decode_raw(self.text)
            properties = _decode_raw(beside.pop(self.kind.properties_key, b"{}"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}
        return {**beside, **properties}


@dataclass(frozen=True)
class RowDecoder:
    """Decodes lines of one kind of rows."""

    kind: RowKind
    selection: Selection = ALL_PROPERTIES

    def decode_lines(self, lines: Iterable[tuple[int, bytes]]) -> Decoded:
        """Decode rows, each given as its position in the window and its line."""
        parts: list[Decoded] = []
        remaining = iter(lines)
        while some := [*islice(remaining, constants.BLOCK_ROWS)]:
            with _collector_paused():
                parts += self._decode_some(some)
        return concat(parts or [self._decode_group([], Counter())])

    def _decode_some(self, lines: list[tuple[int, bytes]]) -> Iterator[Decoded]:
        repairs: Repairs = Counter()
        read = [self._read(line, position, repairs) for position, line in lines]
        for group in self._groups(read):
            yield self._decode_group(group, repairs)
            repairs = Counter()

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
        if isinstance(name, float):  # perhaps an integer that does not fit in 64 bits
            name = repair_row(text, Counter())[self.kind.name_key]
        return _Line(text, position, str(name), self.kind.properties(row), exact, self.kind)

    def _groups(self, lines: list[_Line]) -> Iterator[list[_Line]]:
        """Lines with similar properties, so that few arrays are mostly null."""
        if not self.kind.grouped:
            yield lines
            return
        groups: dict[str, list[_Line]] = {}
        for line in lines:
            groups.setdefault(line.name, []).append(line)
        yield [line for group in groups.values() if len(group) < SMALL_GROUP for line in group]
        yield from (group for group in groups.values() if len(group) >= SMALL_GROUP)

    def _decode_group(self, lines: list[_Line], repairs: Repairs) -> Decoded:
        rows = [line.properties for line in lines]
        arrays, inexact = self._to_arrays(lines, rows)
        inexact = {number for number in inexact if not lines[number].exact}
        if inexact:
            for number in inexact:
                rows[number] = self.kind.properties(repair_row(lines[number].text, repairs))
            arrays, _ = self._to_arrays(lines, rows)
        pairs = [*zip(lines, rows, strict=True)]
        digests = [_digest(line, row) for line, row in pairs] if self.selection.digest else None
        raw = [self._raw_properties(*pair) for pair in pairs] if self.selection.raw else None
        return Decoded(
            pa.array([line.name for line in lines], pa.string()),
            pa.array([line.position for line in lines], pa.int64()),
            arrays,
            None if digests is None else pa.array(digests, pa.string()),
            None if raw is None else pa.array(raw, pa.string()),
            repairs,
        )

    def _to_arrays(
        self, lines: list[_Line], rows: list[Row]
    ) -> tuple[dict[Typed, pa.Array], set[int]]:
        """The arrays, and the numbers of the rows that may have lost digits when they were read."""
        arrays: dict[Typed, pa.Array] = {}
        doubtful: set[int] = set()
        only = self.selection.only
        names = dict.fromkeys(chain.from_iterable(rows)) if only is None else only
        for name in names:
            values = [row.get(name) for row in rows]
            kinds = {_JSON_TYPES[kind] for kind in set(map(type, values)) if kind in _JSON_TYPES}
            for kind in kinds:
                mine = values if len(kinds) == 1 else _of_kind(values, kind)
                if kind is JsonType.JSON:
                    mine = [
                        None if value is None else line.json_text(name, value)
                        for line, value in zip(lines, mine, strict=True)
                    ]
                arrays[Typed(name, kind)], inexact = _BUILDERS[kind](mine)
                doubtful.update(inexact)
        return arrays, doubtful

    def _raw_properties(self, line: _Line, row: Row) -> str:
        """The properties as they were sent, or repaired if they had to be."""
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


def _digest(line: _Line, row: Row) -> str:
    return content_digest([line.name, row]).hex()


def _of_kind(values: list[Any], kind: JsonType) -> list[Any]:
    return [value if _JSON_TYPES.get(type(value)) is kind else None for value in values]


Built = tuple[pa.Array, Sequence[int]]
"""An array, and the numbers of the rows whose values it may not hold exactly."""


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


def _build_json(texts: list[Any]) -> Built:
    array = pa.array(texts, pa.string())
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
    """Keep the garbage collector from traversing thousands of new dicts, which doubles the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
