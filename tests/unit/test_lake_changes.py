"""Statements and conditions of a lake: what changes a table, and which rows."""

from __future__ import annotations

from typing import Any

import pytest

from mixpanel_source.destinations.conditions import Conditions
from mixpanel_source.destinations.lake.changes import history_of, replaced_rows, selects_days
from mixpanel_source.destinations.lake.statements import parse_change
from mixpanel_source.destinations.replacement import Replacement


@pytest.mark.parametrize(
    ("statement", "verb", "table", "rest"),
    [
        ('CREATE TABLE "m"."export" (a bigint)', "CREATE TABLE", "export", "(a bigint)"),
        ('create table "m"."a""b" (x date)', "CREATE TABLE", 'a"b', "(x date)"),
        ('ALTER TABLE "m"."t"\nADD COLUMN "c" JSON', "ALTER TABLE", "t", 'ADD COLUMN "c" JSON'),
        ("INSERT INTO m.t(a, b) VALUES(%s, %s);", "INSERT INTO", "t", "(a, b) VALUES(%s, %s)"),
        ('DELETE FROM "db"."m"."t" WHERE a = \';\'', "DELETE FROM", "t", "WHERE a = ';'"),
        ('DROP TABLE "m"."t"', "DROP TABLE", "t", ""),
    ],
)
def test_statement_that_changes_a_table(statement: str, verb: str, table: str, rest: str) -> None:
    """The table is found whatever qualifies and quotes it."""
    change = parse_change(statement)
    assert change is not None
    assert (change.verb, change.table, change.rest, change.if_exists) == (verb, table, rest, False)
    assert change.on("other") == f"{verb} other {rest}"


def test_statement_that_depends_on_the_table() -> None:
    """Both forms are told apart from the plain statement."""
    for statement in (
        'CREATE TABLE IF NOT EXISTS "m"."t" (a text)',
        'DROP TABLE IF EXISTS "m"."t"',
    ):
        change = parse_change(statement)
        assert change is not None
        assert change.if_exists
        assert change.table == "t"


def test_queries_change_nothing() -> None:
    """What only reads is left to DuckDB."""
    for statement in ("SELECT 1", 'WITH t AS (SELECT 1) SELECT * FROM "m"."export"', "SET x = 1"):
        assert parse_change(statement) is None


def test_condition_of_a_delete() -> None:
    """Without a condition all rows go."""
    with_condition = parse_change("DELETE FROM t WHERE a IN (SELECT b FROM u WHERE c)")
    assert with_condition is not None
    assert with_condition.condition == "a IN (SELECT b FROM u WHERE c)"
    without = parse_change("DELETE FROM t")
    assert without is not None
    assert without.condition == "true"


def prepared(replacement: Replacement | None = None, **given: Any) -> dict[str, Any]:
    """A table schema as dlt prepares it for a load."""
    table: dict[str, Any] = {"name": "t", "write_disposition": "merge", "columns": {}, **given}
    if replacement is not None:
        declared: dict[str, Any] = dict(replacement.write_disposition)  # type: ignore[arg-type]
        table["x-merge-strategy"] = declared["strategy"]
        table["x-merge-destination-scope"] = declared["destination_scope"]
        table["x-merge-source-filter"] = declared["source_filter"]
    return table


def test_replaced_rows() -> None:
    """A declared replacement is used as it is; keys, and no keys, are what they are for dlt."""
    days = Replacement(scope=("event_date",), keep="event_key", blank="")
    conditions = replaced_rows(prepared(days))
    assert conditions is not None
    assert conditions.keep == "event_key <> ''"
    assert selects_days(conditions)
    assert not selects_days(Conditions("part IN (SELECT part FROM {staging_table})", "true"))
    assert replaced_rows(prepared(write_disposition="append")) is None
    assert replaced_rows(prepared()) is None
    assert replaced_rows(prepared(write_disposition="replace")) == ("true", "true")
    key = {"a": {"name": "a", "data_type": "text", "primary_key": True}}
    by_key = replaced_rows(prepared(columns=key))
    assert by_key == Conditions(
        '("a") IN (SELECT ("a") FROM {staging_table})',
        'true QUALIFY row_number() OVER (PARTITION BY "a") = 1',
    )


def test_history() -> None:
    """Only what is declared as a history closes rows."""
    assert history_of(prepared(), name="m.t") is None
    replacement = Replacement(scope=("cohort_id",), keep="distinct_id", row_version="member_key")
    columns = {
        "member_key": {"name": "member_key", "data_type": "text", "x-row-version": True},
        "since": {"name": "since", "data_type": "timestamp", "x-valid-from": True},
        "until": {"name": "until", "data_type": "timestamp", "x-valid-to": True},
    }
    history = history_of(prepared(replacement, columns=columns), name="m.t")
    assert history is not None
    assert (history.begins, history.ends) == ('"since"', '"until"')
    assert "cohort_id IN (SELECT cohort_id FROM staged_rows)" in history.is_gone
    assert "distinct_id IS NOT NULL" in history.is_new
