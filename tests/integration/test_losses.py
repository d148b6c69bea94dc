"""What somebody removed from a dataset by hand is made again and read again, or named."""

from __future__ import annotations

from typing import Any

import pytest

from mixpanel_source.errors import ConfigError
from tests.support.lab import Lab
from tests.support.projects import ALL_DAYS, LOOKBACK, YESTERDAY


def execute(lab: Lab, statement: str, table: str = "export") -> None:
    """Run a statement by hand; `{table}` in it is the table."""
    with lab.pipeline.sql_client() as client:
        client.execute_sql(statement.format(table=client.make_qualified_table_name(table)))


LOSSES = (
    "ALTER TABLE {table} RENAME COLUMN plan TO tier",
    "DROP TABLE {table}",
    "DELETE FROM {table}",
)


@pytest.mark.slow
def test_lost_events_are_read_again(any_lab: Lab) -> None:
    """Every day is read again, once, and the table has all values again."""
    any_lab.sync("export")
    for statement in LOSSES:
        execute(any_lab, statement)
        assert any_lab.sync("export").failures == {}
        assert sorted(any_lab.exported) == ALL_DAYS, statement
        plans = {row["event_key"]: row["plan"] for row in any_lab.rows("export")}
        assert len(any_lab.rows("export")) == len(plans) == 24
        assert {*plans.values()} == {"free", "pro"}, statement
    assert any_lab.sync("export").failures == {}
    assert any_lab.exported == LOOKBACK


def test_lost_days_are_read_again(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Days without any of their rows are read again, by the next sync; days never full are not."""
    lab.project.events[YESTERDAY].clear()
    lab.sync("export")
    execute(lab, "DELETE FROM {table} WHERE event_date < '2026-11-15'")
    lab.backfill("2026-11-17,2026-11-17")
    assert "rows of 2 days are missing that were loaded" in caplog.text
    lab.sync("export")
    assert lab.exported == [*LOOKBACK, "2026-11-13", "2026-11-14"]
    lab.assert_events_kept()
    assert lab.sync("export").failures == {}
    assert lab.exported == LOOKBACK


def test_days_before_the_anchor(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Days that only a backfill loads are named with the command that loads them."""
    lab.backfill("2026-11-13,2026-11-14")
    execute(lab, "DELETE FROM {table}")
    lab.sync("export", anchor_date=YESTERDAY)
    assert "backfill --range 2026-11-13,2026-11-14" in caplog.text


@pytest.mark.parametrize("statement", ["DROP TABLE {table}", "DELETE FROM {table}"])
def test_lost_profiles_are_read_again(lab: Lab, statement: str) -> None:
    """All profiles are read, although only the updated ones were due."""
    settings: dict[str, Any] = {"engage_full_days": 7}
    lab.sync("engage", **settings)
    execute(lab, statement, "engage")
    assert lab.sync("engage", **settings).failures == {}
    lab.assert_profiles_kept()


@pytest.mark.parametrize("table", ["_mixpanel_columns", "_mixpanel_loads"])
def test_lost_descriptions(lab: Lab, table: str) -> None:
    """The tables that describe the others are made again; events need not be read for that."""
    lab.sync("export")
    before = lab.rows(table)
    execute(lab, "DROP TABLE {table}", table)
    assert lab.sync("export").failures == {}
    assert lab.exported == LOOKBACK
    expected = len(before) if table == "_mixpanel_columns" else len(LOOKBACK)
    assert len(lab.rows(table)) == expected


def test_column_that_cannot_be_empty(any_lab: Lab) -> None:
    """The message names the column and the command after which a sync loads the table again."""
    any_lab.sync("export")
    execute(any_lab, "ALTER TABLE {table} RENAME COLUMN event_key TO key")
    with pytest.raises(ConfigError, match=r"lacks the column event_key, .*: DROP TABLE") as error:
        any_lab.sync("export")
    assert any_lab.sandbox.requests == []
    execute(any_lab, f"DROP TABLE {str(error.value).partition('DROP TABLE ')[2]}")
    assert any_lab.sync("export").failures == {}
    any_lab.assert_events_kept()


@pytest.mark.parametrize("table", ["_dlt_loads", "_dlt_version"])
def test_tables_of_dlt(lab: Lab, table: str) -> None:
    """Without them it is not known what was loaded: refused before the first request."""
    lab.sync("engage")
    execute(lab, "DROP TABLE {table}", table)
    with pytest.raises(ConfigError, match=f"its table {table} is missing"):
        lab.sync("engage")
    assert lab.sandbox.requests == []
