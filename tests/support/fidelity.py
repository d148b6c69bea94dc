"""Compares what was loaded with what was served.

Served lines are parsed by `tests.support.json_values`, which shares no code with the package;
loaded rows are read with plain SQL through `_mixpanel_columns`.

Rows are equal if they have the same JSON values of the same types, with these exceptions:

- An integer in a double column is equal if the double is exactly that integer.
- A property that is null equals a missing one, except in the JSON column `properties`.
- `time` is equal if it is the same instant.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

import dlt

from mixpanel_sandbox import Project
from tests.support.json_values import bounded, canonical, read_row
from tests.support.tables import OVERFLOW, read_columns, select_all

TYPES: dict[str, Any] = {"bool": bool, "bigint": int, "double": float, "text": str, "json": str}
FIRST_US, LAST_US = -62_135_510_400_000_000, 253_402_214_399_999_999
"""The years 1 to 9999 in microseconds since the epoch, without a day at each end."""
FIXED_COLUMNS = {
    "export": ("event", "time", "event_date", "distinct_id", "insert_id", "event_key"),
    "engage": ("distinct_id", "profile_key"),
}
COLUMNS_OF_PROPERTIES = {"time": "time", "distinct_id": "distinct_id", "$insert_id": "insert_id"}
"""Event properties whose value is in a fixed column."""


class Row(NamedTuple):
    """An event or profile in a form that can be compared and hashed."""

    name: str
    """Event name, or distinct id of the profile."""
    day: date | None
    """UTC day of the event; None for profiles."""
    properties: frozenset[tuple[str, Any]]


def assert_kept(project: Project, pipeline: dlt.Pipeline, *, properties: str = "columns") -> None:
    """Assert that every event and profile was loaded once, with exactly its properties.

    Args:
        project: The project that was served.
        pipeline: The pipeline that loaded it.
        properties: The setting `properties` it was loaded with.
    """
    for mode in ("columns", "json") if properties == "both" else (properties,):
        read = read_json_rows if mode == "json" else read_rows
        assert_same(served_events(project, mode), read(pipeline, "export"))
        assert_same(served_profiles(project, mode), read(pipeline, "engage"))


def assert_same(served: Iterable[Row], loaded: Iterable[Row]) -> None:
    """Assert that the rows are the same, in any order, each as often."""
    expected, actual = Counter(served), Counter(loaded)
    missing, extra = (list(rows.elements()) for rows in (expected - actual, actual - expected))
    assert not missing, f"{len(missing)} of {expected.total()} rows differ: {missing[0]}"
    assert not extra, f"{len(extra)} rows were loaded but not served: {extra[0]}"


def served_events(project: Project, mode: str = "columns") -> Iterator[Row]:
    """Yield the events of a project, of duplicates only the one processed last."""
    for day, lines in project.events.items():
        newest: dict[Any, tuple[float, str, dict[str, Any]]] = {}
        for number, line in enumerate(lines):
            name, properties = read_row(line)
            sent_id = properties.get("$distinct_id_before_identity") or properties.get(
                "distinct_id"
            )
            key = (name, properties.get("$insert_id") or number, canonical(sent_id))
            rank = properties.get("mp_processing_time_ms") or 0
            if key not in newest or rank >= newest[key][0]:
                newest[key] = (rank, name, properties)
        for _, name, properties in newest.values():
            yield as_row(name, day, properties, mode)


def served_profiles(project: Project, mode: str = "columns") -> Iterator[Row]:
    """Yield the profiles of a project."""
    for line in project.profiles:
        distinct_id, properties = read_row(line, name_key="$distinct_id")
        yield as_row(distinct_id, None, properties, mode)


def as_row(name: str, day: date | None, properties: Mapping[str, Any], mode: str) -> Row:
    """Return the row that a served event or profile must be read back as."""
    values = {
        key: as_instant(value) if day and key == "time" else canonical(value)
        for key, value in properties.items()
        if value is not None or mode == "json"
    }
    return Row(name, day, frozenset(values.items()))


def as_instant(time: Any) -> Any:
    """Return an integer `time`, in seconds or milliseconds, as an instant; others unchanged."""
    if isinstance(time, bool) or not isinstance(time, int):
        return canonical(time)
    micros = time * (1_000 if abs(time) >= 30_000_000_000 else 1_000_000)
    return ("instant", micros) if FIRST_US <= micros <= LAST_US else time


def read_rows(pipeline: dlt.Pipeline, table: str, *, where: str = "true") -> Iterator[Row]:
    """Yield the rows of a table, with the properties from their columns."""
    columns = read_columns(pipeline, table)
    known = {column for pairs in columns.values() for column, _ in pairs}
    for row in select_all(pipeline, table, where=where):
        other = {*FIXED_COLUMNS[table], "_dlt_load_id", "properties", "time_epoch"}
        unknown = row.keys() - known - other
        assert not unknown, f"_mixpanel_columns does not list {unknown}"
        yield Row(*_name_and_day(row, table), frozenset(_iter_properties(row, columns)))


def read_json_rows(pipeline: dlt.Pipeline, table: str, *, where: str = "true") -> Iterator[Row]:
    """Yield the rows of a table, with the properties from the JSON column."""
    for row in select_all(pipeline, table, where=where):
        # JSON columns keep integers of any size
        properties = {name: bounded(value) for name, value in json.loads(row["properties"]).items()}
        yield as_row(*_name_and_day(row, table), properties, "json")


def _name_and_day(row: Mapping[str, Any], table: str) -> tuple[str, date | None]:
    return (row["event"], row["event_date"]) if table == "export" else (row["distinct_id"], None)


def _iter_properties(
    row: Mapping[str, Any], columns: Mapping[str, list[tuple[str, str]]]
) -> Iterator[tuple[str, Any]]:
    others = json.loads(row[OVERFLOW]) if row.get(OVERFLOW) else {}
    for name, pairs in columns.items():
        values = {
            column: canonical(others[name]) if column == OVERFLOW else _read(row[column], data_type)
            for column, data_type in pairs
            if (name in others if column == OVERFLOW else row.get(column) is not None)
        }
        if len(values) > 1:
            # a value that the fixed column holds inexactly is also in a column of its own
            values.pop(COLUMNS_OF_PROPERTIES.get(name, ""), None)
        assert len(values) <= 1, f"{name} has two values"
        yield from ((name, value) for value in values.values())


def _read(value: Any, data_type: str) -> Any:
    if data_type == "timestamp":
        return "instant", value
    assert type(value) is TYPES[data_type]
    return canonical(json.loads(value) if data_type == "json" else value)
