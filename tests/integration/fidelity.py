"""Loads a project by the real way and reads all of it back, to compare with what was served.

What was served is read by `json_values`, which shares no code with the package; what was loaded is
read with plain SQL, through `_mixpanel_columns`, as a user without the package would.

Equal means: the same JSON value of the same type. An integer in a double column is equal if the
double is exactly that integer. A property that is null is as good as one that is not there, except
in the JSON column `properties`. `time` is equal if it is the same instant.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from typing import Any, NamedTuple

import dlt
import pytest

from mixpanel_sandbox import SECRET, USERNAME, Project, Sandbox
from mixpanel_source import JobResult, sync
from tests.json_values import bounded, canonical, read_row

OVERFLOW = "other_properties"
TYPES: dict[str, Any] = {"bool": bool, "bigint": int, "double": float, "text": str, "json": str}
FIRST_US, LAST_US = -62_135_510_400_000_000, 253_402_214_399_999_999
"""The years 1 to 9999, less a day at each end."""
FIXED = {
    "export": ("event", "time", "event_date", "distinct_id", "insert_id", "event_key"),
    "engage": ("distinct_id", "profile_key"),
}
TAKEN = {"time": "time", "distinct_id": "distinct_id", "$insert_id": "insert_id"}
"""Properties of events that have a column in every table."""


class Row(NamedTuple):
    """An event or a profile in a form that is equal for equal ones."""

    name: str
    """The event, or the id of the profile."""
    day: date | None
    properties: frozenset[tuple[str, Any]]


on_each_destination = pytest.mark.parametrize("destination", ["duckdb", "postgres"])


def open_pipeline(destination: str, request: pytest.FixtureRequest) -> dlt.Pipeline:
    """The pipeline to an empty database of a kind, made for one test."""
    kind: Any = dlt.destinations.duckdb("fidelity.duckdb")
    if destination == "postgres":
        kind = dlt.destinations.postgres(request.getfixturevalue("postgres"))
    return dlt.pipeline("fidelity", destination=kind, dataset_name="mixpanel")


class Clock:
    """Noon of a day, and a millisecond later whenever one looks."""

    def __init__(self, day: date) -> None:
        """Start at noon, UTC."""
        self._now = datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc).timestamp()

    def time(self) -> float:
        """Seconds since the epoch."""
        self._now += 0.001
        return self._now

    def sleep(self, seconds: float) -> None:
        """Be that much later at once."""
        self._now += seconds


@contextmanager
def serve(project: Project, clock: Clock) -> Iterator[dict[str, Any]]:
    """Serve a project without limits; gives the settings to read all of it as fast as it goes."""
    limits: dict[str, Any] = {"exports_per_hour": 0, "exports_per_second": 0, "queries_per_hour": 0}
    with Sandbox(project, clock=clock.time, **limits) as sandbox:
        yield {
            "username": USERNAME,
            "secret": SECRET,
            "project_id": project.project_id,
            "base_url": sandbox.url,
            "export_base_url": sandbox.url,
            "anchor_date": min(project.events),
            "requests_per_second": 1000,
            "requests_per_hour": 0,
            "retries": 0,
        }


def load(
    project: Project, pipeline: dlt.Pipeline, *, clock: Clock | None = None, **given: Any
) -> JobResult:
    """Serve a project and sync it.

    Args:
        project: what to serve.
        pipeline: where to load it to.
        clock: for several loads one after the other; else it is the day after the last event.
        given: settings of the source, and `tables`.
    """
    clock = clock or Clock(max(project.events) + timedelta(days=1))
    tables = given.pop("tables", ("export", "engage"))
    with serve(project, clock) as settings:
        report = sync(tables, pipeline=pipeline, clock=clock, **{**settings, **given})
    assert report.failures == {}
    return report


def assert_kept(project: Project, pipeline: dlt.Pipeline, *, properties: str = "columns") -> None:
    """Every event and profile is in the tables, once, with every property and no other.

    Args:
        project: what was served.
        pipeline: where it was loaded to.
        properties: the mode it was loaded in.
    """
    for mode in ("columns", "json") if properties == "both" else (properties,):
        read = read_json_rows if mode == "json" else read_rows
        assert_same(served_events(project, mode), read(pipeline, "export"))
        assert_same(served_profiles(project, mode), read(pipeline, "engage"))


def assert_same(served: Iterable[Row], loaded: Iterable[Row]) -> None:
    """The rows are the same, each as often."""
    expected, found = Counter(served), Counter(loaded)
    lost, new = (list(rows.elements()) for rows in (expected - found, found - expected))
    assert not lost, f"{len(lost)} of {expected.total()} are not as served: {lost[0]}"
    assert not new, f"{len(new)} more were loaded than served: {new[0]}"


def served_events(project: Project, mode: str = "columns") -> Iterator[Row]:
    """The events of a project, those that Mixpanel holds to be one taken once, the newest."""
    for day, lines in project.events.items():
        newest: dict[Any, tuple[float, str, dict[str, Any]]] = {}
        for number, line in enumerate(lines):
            name, row = read_row(line)
            sent_id = row.get("$distinct_id_before_identity") or row.get("distinct_id")
            key = (name, row.get("$insert_id") or number, canonical(sent_id))
            rank = row.get("mp_processing_time_ms") or 0
            if key not in newest or rank >= newest[key][0]:
                newest[key] = (rank, name, row)
        for _, name, row in newest.values():
            yield as_row(name, day, row, mode)


def served_profiles(project: Project, mode: str = "columns") -> Iterator[Row]:
    """The profiles of a project."""
    for line in project.profiles:
        distinct_id, properties = read_row(line, name_key="$distinct_id")
        yield as_row(distinct_id, None, properties, mode)


def as_row(name: str, day: date | None, properties: Mapping[str, Any], mode: str) -> Row:
    """A row as it has to come back."""
    forms = {
        key: as_moment(value) if day and key == "time" else canonical(value)
        for key, value in properties.items()
        if value is not None or mode == "json"
    }
    return Row(name, day, frozenset(forms.items()))


def as_moment(time: Any) -> Any:
    """A `time` in whole seconds or milliseconds as the instant it is; another as it is."""
    if isinstance(time, bool) or not isinstance(time, int):
        return canonical(time)
    micros = time * (1_000 if abs(time) >= 30_000_000_000 else 1_000_000)
    return ("moment", micros) if FIRST_US <= micros <= LAST_US else time


def read_rows(pipeline: dlt.Pipeline, table: str, *, where: str = "true") -> Iterator[Row]:
    """The rows of a table, each property from the column it is in."""
    columns = read_columns(pipeline, table)
    named = {column for found in columns.values() for column, _ in found}
    for row in select_all(pipeline, table, where=where):
        stray = row.keys() - named - {*FIXED[table], "_dlt_load_id", "properties", "time_epoch"}
        assert not stray, f"no property says it is in {stray}"
        yield Row(*name_row(row, table), frozenset(_iter_properties(row, columns)))


def read_json_rows(pipeline: dlt.Pipeline, table: str, *, where: str = "true") -> Iterator[Row]:
    """The rows of a table, the properties from the JSON column."""
    for row in select_all(pipeline, table, where=where):
        # integers of any size are kept here
        properties = {name: bounded(value) for name, value in json.loads(row["properties"]).items()}
        yield as_row(*name_row(row, table), properties, "json")


def name_row(row: Mapping[str, Any], table: str) -> tuple[str, date | None]:
    """The name and the day of a row that was read."""
    return (row["event"], row["event_date"]) if table == "export" else (row["distinct_id"], None)


def read_columns(pipeline: dlt.Pipeline, table: str) -> dict[str, list[tuple[str, str]]]:
    """Property -> columns and their types; no column but the overflow is of two properties."""
    columns: dict[str, list[tuple[str, str]]] = defaultdict(list)
    owners: dict[str, str] = {}
    for row in select_all(pipeline, "_mixpanel_columns"):
        if row["table_name"] == table:
            columns[row["property"]].append((row["column_name"], row["data_type"]))
            if row["column_name"] != OVERFLOW:
                assert owners.setdefault(row["column_name"], row["property"]) == row["property"]
    return columns


def select_all(pipeline: dlt.Pipeline, table: str, *, where: str = "true") -> list[dict[str, Any]]:
    """The rows of a table; JSON as text, instants as microseconds since the epoch."""
    types = read_types(pipeline, table)
    is_duckdb = pipeline.destination_client().config.destination_type.endswith("duckdb")
    micros = "epoch_us({})" if is_duckdb else "CAST(extract(epoch FROM {}) * 1000000 AS bigint)"
    selected = []
    for name, kind in types.items():
        template = {"json": "CAST({} AS text)", "timestamp": micros}.get(kind, "{}")
        selected.append(template.format(f'"{name}"'))
    with pipeline.sql_client() as client:
        name = client.make_qualified_table_name(table)
        query = f"SELECT {', '.join(selected)} FROM {name} WHERE {where}"
        with client.execute_query(query) as cursor:
            return [dict(zip(types, row, strict=True)) for row in cursor.fetchall()]


def read_types(pipeline: dlt.Pipeline, table: str) -> dict[str, str]:
    """Column -> type, in dlt's words, as the database itself has it."""
    with pipeline.destination_client() as client:
        # only what reads SQL databases has this method
        tables: dict[str, Any] = dict(client.get_storage_tables([table]))  # type: ignore[attr-defined]
    return {name: column["data_type"] for name, column in tables[table].items()}


def _iter_properties(
    row: Mapping[str, Any], columns: Mapping[str, list[tuple[str, str]]]
) -> Iterator[tuple[str, Any]]:
    others = json.loads(row[OVERFLOW]) if row.get(OVERFLOW) else {}
    for name, found in columns.items():
        values = {
            column: canonical(others[name]) if column == OVERFLOW else _read(row[column], data_type)
            for column, data_type in found
            if (name in others if column == OVERFLOW else row.get(column) is not None)
        }
        if len(values) > 1:
            # what the fixed column cannot say exactly is beside it as it came
            values.pop(TAKEN.get(name, ""), None)
        assert len(values) <= 1, f"{name} has two values"
        yield from ((name, value) for value in values.values())


def _read(value: Any, data_type: str) -> Any:
    if data_type == "timestamp":
        return "moment", value
    assert type(value) is TYPES[data_type]
    return canonical(json.loads(value) if data_type == "json" else value)
