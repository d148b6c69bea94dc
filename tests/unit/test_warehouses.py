"""The SQL that replaces rows in warehouses, which no test runs, is the one that was reviewed.

After a change that is meant: `python -m tests.support.warehouse_sql > tests/unit/warehouses.sql`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import sqlglot

from mixpanel_source.destinations.conditions import with_structs
from mixpanel_source.tables.rejected import REPLACE_DAYS
from tests.support import warehouse_sql

ROOT = Path(__file__).parents[2]
REVIEWED = (Path(__file__).parent / "warehouses.sql").read_text()


def test_sql_is_as_reviewed() -> None:
    """Dlt generates the same statements for every warehouse and kind of replacement."""
    # in a process of its own, because stand-ins for drivers are imported there
    command = [sys.executable, "-m", warehouse_sql.__name__]
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert made == REVIEWED


def test_every_case_is_reviewed() -> None:
    """For each, rows are deleted or closed first, and then inserted; each statement is SQL."""
    cases = re.findall(r"^-- (\w+): (.*)\n((?:[^-].*\n)+)", REVIEWED, re.MULTILINE)
    assert [(warehouse, kind) for warehouse, kind, _ in cases] == [
        (warehouse, kind) for warehouse in warehouse_sql.WAREHOUSES for kind in warehouse_sql.KINDS
    ]
    for warehouse, _, statements in cases:
        first, *_, last = statements.splitlines()
        assert re.match("DELETE|UPDATE|ALTER TABLE .* UPDATE|MERGE", first)
        assert last.startswith("INSERT INTO")
        for statement in statements.splitlines():
            sqlglot.parse_one(statement, read=warehouse)


def test_scope_of_structs() -> None:
    """It selects the same rows as the one of columns."""
    disposition: Any = REPLACE_DAYS.write_disposition
    scope = disposition["destination_scope"]
    structs = with_structs(scope)
    assert structs == (
        "STRUCT(table_name, part, day) IN (SELECT STRUCT(table_name, part, day) FROM "
        "{staging_table})"
    )
    assert with_structs("event_date IN (SELECT event_date FROM x)").startswith("event_date IN")
    with duckdb.connect() as database:
        database.execute("CREATE TABLE stored (table_name text, part text, day date)")
        database.execute("INSERT INTO stored VALUES ('a', 'b', '2026-01-01'), ('a', 'c', NULL)")
        database.execute("CREATE TABLE staged AS FROM stored WHERE part = 'b'")
        for condition in (scope, structs.replace("STRUCT", "row")):
            query = f"FROM stored WHERE {condition.format(staging_table='staged')}"
            assert [part for _, part, _ in database.execute(query).fetchall()] == ["b"]
