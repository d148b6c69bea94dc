"""What a replacement deletes and inserts, in a real database, and what its tombstones hold."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from dlt.common.schema.typing import MERGE_DISPOSITION_HINTS

from mixpanel_source.destinations.conditions import Conditions, conditions_of
from mixpanel_source.destinations.replacement import Replacement

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("day", pa.date32(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("amount", pa.float64()),
    ]
)
FRIDAY, SATURDAY = date(2026, 11, 20), date(2026, 11, 21)


def table(*rows: tuple[str, str, date]) -> pa.Table:
    """Rows of an id, a kind and a day."""
    columns = zip(*rows, strict=True)
    ids, kinds, days = columns if rows else ([], [], [])
    return pa.table(
        [ids, kinds, days, range(1, len(rows) + 1), [1.5] * len(rows)],
        schema=SCHEMA,
    )


def hints_of(replacement: Replacement) -> dict[str, Any]:
    """The hints that dlt makes of a write disposition."""
    disposition: Any = replacement.write_disposition
    assert disposition["disposition"] == "merge"
    return {hint: disposition.get(key) for key, hint in MERGE_DISPOSITION_HINTS.items()}


def replace(replacement: Replacement, stored: pa.Table, *staged: pa.Table) -> set[str]:
    """The ids in a table after a load."""
    conditions = conditions_of(hints_of(replacement))
    assert conditions is not None
    with duckdb.connect() as connection:
        connection.register("rows", stored)
        connection.register("arrived", pa.concat_tables(staged))
        connection.execute("CREATE TABLE stored AS SELECT * FROM rows")
        connection.execute("CREATE TABLE staged AS SELECT * FROM arrived")
        scope = conditions.scope.format(table="stored", staging_table="staged")
        connection.execute(f"DELETE FROM stored WHERE {scope}")
        connection.execute(f"INSERT INTO stored SELECT * FROM staged WHERE {conditions.keep}")
        return {row[0] for row in connection.execute("SELECT id FROM stored").fetchall()}


STORED = table(("a", "x", FRIDAY), ("b", "x", SATURDAY), ("c", "y", SATURDAY))


def test_no_scope_replaces_all_rows() -> None:
    """Without a scope all stored rows go; a tombstone empties the table and is not inserted."""
    everything = Replacement(keep="id")
    assert replace(everything, STORED, table(("d", "x", FRIDAY))) == {"d"}
    assert replace(everything, STORED, everything.tombstones(SCHEMA)) == set()


@pytest.mark.parametrize(("keep", "blank"), [("id", None), ("kind", ""), ("position", 0)])
def test_scope_of_one_column(keep: str, blank: Any) -> None:
    """Staged days replace stored days, and a tombstone empties its day, whatever marks it."""
    days = Replacement(scope=("day",), keep=keep, blank=blank)
    assert replace(days, STORED, table(("d", "x", SATURDAY))) == {"a", "d"}
    empty = days.tombstones(SCHEMA, day=[SATURDAY])
    assert replace(days, STORED, empty) == {"a"}
    assert replace(days, STORED, table(("d", "x", FRIDAY)), empty) == {"d"}


def test_scope_of_two_columns() -> None:
    """Rows are replaced that agree in both columns."""
    both = Replacement(scope=("kind", "day"), keep="position", blank=0)
    assert replace(both, STORED, table(("d", "y", SATURDAY))) == {"a", "b", "d"}
    empty = both.tombstones(SCHEMA, kind=["x", "x"], day=[FRIDAY, SATURDAY])
    assert replace(both, STORED, empty) == {"c"}


def test_tombstone_that_clears_all() -> None:
    """Rows replace rows of their id; together with a tombstone they replace the table."""
    updated = Replacement(scope=("id",), keep="id", clears_all=True)
    arrived = table(("a", "z", FRIDAY), ("d", "x", FRIDAY))
    assert replace(updated, STORED, arrived) == {"a", "b", "c", "d"}
    assert replace(updated, STORED, arrived, updated.tombstones(SCHEMA)) == {"a", "d"}


def test_tombstones_are_null_or_blank() -> None:
    """A tombstone has its scope, nulls, and a blank by type where the schema allows no null."""
    tombstones = Replacement(scope=("day",), keep="id").tombstones(SCHEMA, day=[FRIDAY, SATURDAY])
    assert tombstones.schema == SCHEMA
    assert tombstones.to_pylist() == [
        {"id": None, "kind": "", "day": day, "position": 0, "amount": None}
        for day in (FRIDAY, SATURDAY)
    ]
    assert Replacement(keep="id").tombstone_row() == {"id": None}


@pytest.mark.parametrize("scope", [{}, {"kind": ["x"]}, {"day": [FRIDAY], "kind": ["x"]}])
def test_tombstones_of_another_scope_are_refused(scope: dict[str, Any]) -> None:
    """Values of too few or of other columns would delete nothing, or the wrong rows."""
    with pytest.raises(ValueError, match="day"):
        Replacement(scope=("day",), keep="id").tombstones(SCHEMA, **scope)


def test_history_is_closed_and_not_deleted() -> None:
    """With a row version dlt keeps the history of rows; that is no replacement."""
    history = Replacement(scope=("kind",), keep="id", row_version="position")
    assert history.write_disposition == {
        "disposition": "merge",
        "strategy": "scd2",
        "row_version_column_name": "position",
        "destination_scope": "kind IN (SELECT kind FROM {staging_table})",
        "source_filter": "id IS NOT NULL",
    }
    assert conditions_of(hints_of(history)) is None


@pytest.mark.parametrize(
    "hints",
    [
        {},
        {"x-merge-strategy": "delete-insert"},
        {"x-merge-strategy": "delete-insert", "x-merge-source-filter": "id IS NOT NULL"},
    ],
)
def test_merge_by_key_is_no_replacement(hints: dict[str, Any]) -> None:
    """Tables without both conditions are left to dlt."""
    assert conditions_of(hints) is None


def test_conditions_are_those_of_the_disposition() -> None:
    """What dlt hands to a destination is what the table declared."""
    days = Replacement(scope=("event_date",), keep="event_key", blank="")
    assert conditions_of(hints_of(days)) == Conditions(
        scope="event_date IN (SELECT event_date FROM {staging_table})", keep="event_key <> ''"
    )
