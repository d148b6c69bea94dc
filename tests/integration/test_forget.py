"""Forgetting a person: every row goes, no load brings it back, and nobody else is touched."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

import mixpanel_source
from mixpanel_sandbox import Project
from mixpanel_source import ForgetResult, cli, create_views, errors, status
from mixpanel_source.destinations.registry import destination_of
from mixpanel_source.jobs.lock import pipeline_lock
from mixpanel_source.tables.forgotten_ids import FORGOTTEN_TABLE, read_forgotten
from tests.support.lab import Lab
from tests.support.projects import ANCHOR, EVENTS_PER_DAY, YESTERDAY, add_event

DAYS = 8
OLD = date(2026, 11, 14)
"""A day that no sync reads again."""
ACTIVITY = {
    "name": "Feed",
    "table": "activity",
    "params": {"distinct_ids": ["u0", "u1"]},
    "since": str(ANCHOR),
}
TABLES = ("export", "engage", "cohort_members", "groups", "activity")


@pytest.fixture
def town(any_lab: Lab) -> Lab:
    """A week of a small project, loaded in windows of four days to each of the destinations."""
    any_lab.overrides = {"window_days": 4}
    return any_lab


def forget(lab: Lab, *ids: str) -> ForgetResult:
    """Forget persons in the lab's destination."""
    name = lab.pipeline.destination.destination_name
    return mixpanel_source.forget(ids, destination=str(name), clock=lab.clock)


def people(lab: Lab, table: str) -> set[str]:
    """The ids in the rows of a table."""
    return {row["distinct_id"] for row in lab.rows(table)}


def forgotten_rows(lab: Lab, table: str = "export") -> int:
    """The rows that loads of a table left out."""
    loads = lab.rows("_mixpanel_loads")
    return sum(row["rows_forgotten"] for row in loads if row["table_name"] == table)


def add_sent_with(lab: Lab, day: date, number: int, **ids: Any) -> None:
    """Add an event of u1 that was sent with other ids."""
    add_event(lab.project, day, number, **{"distinct_id": "u1", **ids})


def fill(project: Project) -> None:
    """Give the project a cohort with members, and a group type."""
    project.cohort_members[1] = ["u0", "u1", "u2"]


def test_person_is_removed_from_every_table(town: Lab) -> None:
    """Events, profile, cohort members with their history, groups and activity; no other rows."""
    fill(town.project)
    given: dict[str, Any] = {"reports": [ACTIVITY], "data_group_ids": [7]}
    assert town.sync(*TABLES, **given).failures == {}
    # u0 leaves and comes back: a closed row, and an open one
    town.project.cohort_members[1] = ["u1"]
    town.sync("cohort_members")
    town.project.cohort_members[1] = ["u0", "u1"]
    town.sync("cohort_members")
    before = {table: town.rows(table) for table in TABLES}
    assert "u0" in people(town, "activity")
    result = forget(town, "u0")
    expected = {
        table: sum(row["distinct_id"] == "u0" for row in rows) for table, rows in before.items()
    }
    assert dict(result.rows) == expected
    assert expected["export"] == 2 * DAYS
    assert (expected["engage"], expected["cohort_members"]) == (1, 2)
    assert result.remembered == 1
    for table, rows in before.items():
        kept = [row for row in rows if row["distinct_id"] != "u0"]
        assert sorted(map(str, town.rows(table))) == sorted(map(str, kept)), table


def test_no_load_brings_a_person_back(town: Lab) -> None:
    """Neither a sync, nor a backfill, nor a catch-up; each counts what it left out."""
    fill(town.project)
    given: dict[str, Any] = {"reports": [ACTIVITY]}
    tables = ("export", "engage", "cohort_members", "activity")
    town.sync(*tables, **given)
    forget(town, "u0")
    town.clock.advance(days=1)
    for number in range(EVENTS_PER_DAY):
        add_event(town.project, date(2026, 11, 21), number)
    assert town.sync(*tables, **given).failures == {}
    for table in tables:
        assert "u0" not in people(town, table)
    assert forgotten_rows(town) == 2 * 6
    assert forgotten_rows(town, "engage") == 1
    assert forgotten_rows(town, "cohort_members") == 1
    assert forgotten_rows(town, "activity") > 0
    assert people(town, "engage") == {"u1", "u2", "u3", "u4"}

    assert town.backfill(f"{ANCHOR},{YESTERDAY}").rows["export"] == DAYS
    assert forgotten_rows(town) == 2 * (6 + DAYS)

    town.clock.advance(days=1)
    late = {"mp_processing_time_ms": int(town.clock.now * 1000)}
    add_event(town.project, OLD, 6, **late)
    add_event(town.project, OLD, 7, **late)
    town.clock.advance(days=1)
    assert town.catch_up().failures == {}
    assert people(town, "export") == {"u1"}
    assert len([row for row in town.rows("export") if row["event_date"] == OLD]) == 2
    assert forgotten_rows(town) == 2 * (6 + DAYS) + 3


@pytest.mark.parametrize(
    "properties", ["columns", "json", pytest.param("both", marks=pytest.mark.slow)]
)
def test_ids_in_properties_count(town: Lab, properties: str) -> None:
    """Events go that were sent with the id, whichever property and column it is in."""
    names = ("$distinct_id_before_identity", "$device_id", "$user_id", "$anon_id")
    for number, name in enumerate(names, 10):
        add_sent_with(town, OLD, number, **{name: 'it\'s "me" 日本'})
    add_sent_with(town, OLD, 20, **{"$device_id": "somebody else"})
    town.overrides["properties"] = properties
    town.sync("export")
    rows = len(town.rows("export"))
    assert forget(town, 'it\'s "me" 日本').rows == {"export": len(names)}
    town.backfill(f"{OLD},{OLD}")
    assert len(town.rows("export")) == rows - len(names)
    assert forgotten_rows(town) == len(names)
    assert ("price" in town.rows("export")[0]) == (properties != "json")


def test_numbers_are_ids(town: Lab) -> None:
    """An id that was sent as a number, whole or not in an integer column, is the same id."""
    add_sent_with(town, OLD, 10, **{"$user_id": 4711})
    add_sent_with(town, OLD, 11, **{"$user_id": "4711"})
    add_sent_with(town, OLD, 12, **{"$user_id": 47})
    add_sent_with(town, OLD, 13, distinct_id=4711)
    add_sent_with(town, OLD, 14, **{"$device_id": 4711.0})
    add_sent_with(town, OLD, 15, **{"$device_id": 0.5})
    town.sync("export")
    rows = len(town.rows("export"))
    assert forget(town, "4711").rows == {"export": 4}
    town.backfill(f"{OLD},{OLD}")
    assert len(town.rows("export")) == rows - 4


def test_overflow_column_is_searched(town: Lab) -> None:
    """An id in `other_properties` counts as well."""
    add_sent_with(
        town, OLD, 10, **{"$device_id": "device-1", "a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    )
    town.overrides["max_columns"] = 10
    town.sync("export")
    (row,) = (row for row in town.rows("export") if "device-1" in str(row))
    assert "device-1" in row["other_properties"]
    assert forget(town, "device-1").rows == {"export": 1}
    town.backfill(f"{OLD},{OLD}")
    assert "device-1" not in str(town.rows("export"))


def test_day_of_forgotten_persons_is_emptied(town: Lab) -> None:
    """A day whose events are all left out is replaced: what Mixpanel deleted goes here too."""
    town.sync("export")
    forget(town, "u0")
    town.project.events[YESTERDAY] = [
        line for line in town.project.events[YESTERDAY] if b"u1" not in line
    ]
    town.sync("export")
    assert str(YESTERDAY) not in town.count_by_day()


def test_events_of_forgotten_persons_do_not_hide_a_purge(town: Lab) -> None:
    """A settled day of which Mixpanel serves only a forgotten person keeps all other rows."""
    day = ANCHOR
    town.project.events[day] = []
    for number in range(20):
        add_event(town.project, day, number)
    town.sync("export")
    assert forget(town, "u0").rows["export"] == 10 + 2 * (DAYS - 1)
    town.project.events[day] = [line for line in town.project.events[day] if b'"u0"' in line]
    assert len(town.project.events[day]) == 10
    town.clock.advance(days=1)
    result = town.backfill(f"{day},{YESTERDAY}")
    assert {day: tuple(kept) for day, kept in result.kept_days.items()} == {day: (10, 0)}
    assert town.count_by_day()[str(day)] == 10
    assert people(town, "export") == {"u1"}
    town.backfill(f"{day},{YESTERDAY}", accept_deletions=True)
    assert str(day) not in town.count_by_day()


def test_everybody_is_forgotten(town: Lab) -> None:
    """Tables of which no row is loaded are empty; the next sync of new persons is complete."""
    fill(town.project)
    tables = ("export", "engage", "cohort_members")
    town.sync(*tables)
    ids = [f"u{number}" for number in range(5)]
    assert forget(town, *ids).remembered == len(ids)
    town.sync(*tables)
    assert [town.rows(table) for table in tables] == [[], [], []]
    town.project.add_profile("u9", {"$name": "New"})
    town.sync("engage")
    assert people(town, "engage") == {"u9"}


def test_forgetting_twice_changes_nothing(town: Lab) -> None:
    """The second time there are no rows, and the ids are known; an unknown id is remembered."""
    town.sync("export")
    assert forget(town, "u0", "u0").remembered == 1
    (first,) = town.rows(FORGOTTEN_TABLE)
    town.clock.advance(days=1)
    again = forget(town, "u0", "nobody")
    assert (dict(again.rows), again.remembered) == ({"export": 0}, 1)
    rows = town.rows(FORGOTTEN_TABLE)
    assert first in rows
    assert len(rows) == 2
    assert len({row["salt"] for row in rows}) == 1
    assert "u0" not in str(rows)
    add_event(town.project, YESTERDAY, 9, distinct_id="nobody")
    town.sync("export")
    assert people(town, "export") == {"u1"}
    assert read_forgotten(town.pipeline).find(["u0", "u1", "nobody"]) == {"u0", "nobody"}


def test_nothing_of_a_person_stays_on_disk(town: Lab) -> None:
    """The spool, dlt's load packages and its staging tables hold no row of the person."""
    marker = "person-4711"
    add_sent_with(town, YESTERDAY, 10, distinct_id=marker)
    town.project.cohort_members[1] = [marker]
    town.sync("export", "cohort_members")
    town.leave_pending_package("export")
    assert town.spooled_files() != []
    forget(town, marker)
    assert town.spooled_files() == []
    assert not town.pipeline.has_pending_data
    with town.pipeline.sql_client() as client:
        staging = client.staging_dataset_name
        tables = client.execute_sql(
            "SELECT table_name FROM information_schema.columns "
            f"WHERE table_schema = '{staging}' AND column_name = 'distinct_id'"
        )
        assert tables
        for (table,) in tables:
            found = client.execute_sql(
                f"SELECT 1 FROM {staging}.{table} WHERE distinct_id = '{marker}'"
            )
            assert not found


def test_status_counts_what_is_left(town: Lab) -> None:
    """The rows are those that are there, no day is missing, and views are no tables."""
    town.sync("export", "engage")
    create_views(town.pipeline)
    destination = str(town.pipeline.destination.destination_name)
    assert {*forget(town, "u0").rows} == {"export", "engage"}
    found = {
        table.table: table
        for table in status(destination=destination, clock=town.clock, **town.settings).tables
    }
    assert (found["export"].rows, found["export"].gaps) == (DAYS, [])
    assert found["export"].synced_through == YESTERDAY
    assert found["engage"].rows == 4
    town.sync("export", "engage")
    assert len(town.rows("export")) == DAYS


def test_plain_pipeline_leaves_forgotten_persons_out(lab: Lab) -> None:
    """A run without a job reads the table too."""
    lab.sync("export")
    forget(lab, "u0")
    lab.pipeline.run(lab.source("export", "engage"), loader_file_format="parquet")
    assert people(lab, "export") == {"u1"}
    assert "u0" not in people(lab, "engage")


def test_command(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the rows of each table, as text and as JSON, and never an id."""
    lab.sync("export", "engage")
    capsys.readouterr()
    assert cli.main(["forget", "u0", "--json"]) == cli.DONE
    assert json.loads(capsys.readouterr().out) == {
        "rows": {"engage": 1, "export": 16},
        "ids_remembered": 1,
    }
    assert cli.main(["forget", "u1", "u2"]) == cli.DONE
    out = capsys.readouterr().out
    assert "export: 8 rows removed\n" in out
    assert "10 rows of 2 ids removed; 2 newly remembered" in out
    assert "u1" not in out


def test_running_job_refuses(lab: Lab) -> None:
    """Nothing is removed while a job of the same pipeline is under way."""
    lab.sync("export")
    with pipeline_lock(lab.pipeline), pytest.raises(errors.BusyError):
        forget(lab, "u0")
    assert "u0" in people(lab, "export")


@pytest.mark.parametrize(
    ("ids", "message"),
    [([], "No id was given"), (["u0", ""], "empty"), (["a\0"], "text"), (["a\udc80"], "text")],
)
def test_ids_that_nobody_has_are_refused(lab: Lab, ids: list[str], message: str) -> None:
    """An empty id would remove every event without a user."""
    lab.sync("export")
    with pytest.raises(errors.ConfigError, match=message):
        forget(lab, *ids)
    assert len(lab.rows("export")) == EVENTS_PER_DAY * DAYS


def test_text_is_one_id(lab: Lab) -> None:
    """A text instead of a list is one id, not one for each of its letters."""
    lab.sync("export")
    assert mixpanel_source.forget("u0", clock=lab.clock).remembered == 1


def test_nothing_is_loaded(town: Lab) -> None:
    """A dataset that does not exist is refused, and a file that does not exist is not created."""
    with pytest.raises(errors.ConfigError, match="nothing in the dataset"):
        forget(town, "u0")
    name = str(town.pipeline.destination.destination_name)
    assert destination_of(town.pipeline).exists == (name == "postgres")


def test_destination_without_sql_is_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Files cannot be deleted from; what can is listed."""
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "files"))
    lab.sync("export")
    with pytest.raises(errors.ConfigError, match=r"Supported are .*duckdb.*postgres"):
        mixpanel_source.forget(["u0"], destination="filesystem")
