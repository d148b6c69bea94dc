"""Rows are replaced in Postgres in one transaction, without a staging table."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from mixpanel_sandbox import Project
from mixpanel_source import open_pipeline
from mixpanel_source.tables.package import TablePart
from tests.support.lab import Lab, open_lab
from tests.support.postgres import execute
from tests.support.projects import YESTERDAY, add_event

RELOAD = f"{YESTERDAY},{YESTERDAY}"


@pytest.fixture
def lab(project: Project, postgres: str) -> Iterator[Lab]:  # noqa: ARG001 - is in the environment
    """The project, loaded to Postgres."""
    with open_lab(project, open_pipeline("postgres")) as opened:
        opened.sync()
        yield opened


def tables_like(url: str, pattern: str) -> list[str]:
    """The tables of any schema whose qualified name matches a pattern of LIKE."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables "
            "WHERE schemaname || '.' || tablename LIKE %s ORDER BY 1",
            [pattern],
        )
        return [name for (name,) in cursor.fetchall()]


def test_nothing_is_staged(lab: Lab, postgres: str) -> None:
    """Events and profiles are copied once, and the table that selects rows to delete is gone."""
    # columns with the names of placeholders
    add_event(lab.project, YESTERDAY, 77, staging_table="a", table="b")
    lab.backfill(RELOAD)
    lab.assert_events_kept()
    lab.assert_profiles_kept()
    assert tables_like(postgres, "%.export") == ["mixpanel.export"]
    assert tables_like(postgres, "%.engage") == ["mixpanel.engage"]
    assert tables_like(postgres, "%scope%") == []


def test_role_without_temporary_tables(
    project: Project, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role needs no privilege but that to create schemas."""
    database = postgres.rpartition("/")[2]
    execute(postgres, "CREATE ROLE loader LOGIN PASSWORD 'loader'")
    try:
        execute(postgres, f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
        execute(postgres, f"GRANT CONNECT, CREATE ON DATABASE {database} TO loader")
        address = postgres.rpartition("@")[2]
        url = f"postgresql://loader:loader@{address}"
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
        with open_lab(project, open_pipeline("postgres")) as lab:
            assert lab.sync().failures == {}
            assert lab.backfill(RELOAD).failures == {}
            lab.assert_events_kept()
    finally:
        execute(postgres, "DROP OWNED BY loader")
        execute(postgres, "DROP ROLE loader")


def test_earlier_try_that_is_not_over(lab: Lab, postgres: str) -> None:
    """A load waits for a transaction that inserts the same rows, and replaces what it inserted."""
    with closing(psycopg2.connect(postgres)) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM mixpanel.export WHERE event_date = %s", [YESTERDAY])
        connection.commit()
        cursor.execute("INSERT INTO mixpanel.export SELECT * FROM mixpanel.export LIMIT 1")
        cursor.execute(
            "UPDATE mixpanel.export SET event_date = %s WHERE ctid = "
            "(SELECT ctid FROM mixpanel.export ORDER BY ctid DESC LIMIT 1)",
            [YESTERDAY],
        )
        timer = threading.Timer(1.0, connection.commit)
        timer.start()
        assert lab.backfill(RELOAD).failures == {}
        timer.join()
    lab.assert_events_kept()


def test_load_that_fails_changes_nothing(lab: Lab, postgres: str) -> None:
    """If a row cannot be inserted, the rows that were deleted are back."""
    execute(postgres, "ALTER TABLE mixpanel.engage ADD CHECK (distinct_id <> 'late')")
    before = sorted(row["distinct_id"] for row in lab.rows("engage"))
    lab.project.add_profile("late", {"$name": "Late"})
    assert TablePart("engage") in lab.sync("engage").failures
    assert sorted(row["distinct_id"] for row in lab.rows("engage")) == before
    execute(postgres, "ALTER TABLE mixpanel.engage DROP CONSTRAINT engage_distinct_id_check")
    assert lab.sync("engage").failures == {}
    lab.assert_profiles_kept()
