"""What every destination has to pass, written once.

Each scenario gets a lab: a small project, the sandbox that serves it, and a pipeline to an empty
place. It compares what is loaded with what the sandbox serves.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import mixpanel_source
from mixpanel_sandbox import Project
from mixpanel_source import status
from mixpanel_source.commands.plan import plan
from mixpanel_source.commands.reconcile import reconcile
from mixpanel_source.destinations.registry import destination_of
from mixpanel_source.errors import BusyError, ConfigError
from tests.support.json_values import HOSTILE_NAMES
from tests.support.kill_points import KILL_POINTS, kill_syncs
from tests.support.lab import Lab
from tests.support.projects import EVENTS_PER_DAY, YESTERDAY, add_event, make_project

DAY = timedelta(days=1)
DATABASES = ("duckdb", "postgres")
"""Destinations whose tables have no files of their own."""
FIRST = YESTERDAY - DAY
"""First day of the project, which has two; both are within the look-back."""
SETTLED = YESTERDAY - 9 * DAY
"""A day that no sync reads again, for scenarios that need one."""
VALUES = (True, 1, 2**53 + 1, 1.5, "1", [1], {"a": 1}, None, "", "null")
"""Values of all types, for one property."""
GROUP = "77"

Scenario = Callable[[Lab], None]
SCENARIOS: dict[str, Scenario] = {}
"""Name -> scenario, in the order of the table."""


def scenario(name: str) -> Callable[[Scenario], Scenario]:
    """Add a function to the scenarios."""

    def add(function: Scenario) -> Scenario:
        SCENARIOS[name] = function
        return function

    return add


def sync(lab: Lab, *tables: str, **settings: Any) -> None:
    """Sync without failures."""
    failures = lab.sync(*tables, **settings).failures
    assert failures == {}, failures


def assert_exact(lab: Lab) -> None:
    """Assert that events and profiles are those served, each once."""
    lab.assert_events_kept(min(lab.project.events))
    lab.assert_profiles_kept()


def destination_name(lab: Lab) -> str:
    """The destination as a command names it."""
    return str(lab.pipeline.destination.destination_name)


@scenario("first sync")
def load_once(lab: Lab) -> None:
    """Events, profiles and what describes them arrive, and the dataset has an owner."""
    sync(lab)
    assert_exact(lab)
    (owner,) = lab.rows("_mixpanel_dataset")
    assert (owner["project_id"], owner["pipeline"]) == (1234567, lab.pipeline.pipeline_name)
    windows = {(row["table_name"], row["rows"]) for row in lab.rows("_mixpanel_loads")}
    assert windows == {("export", EVENTS_PER_DAY), ("engage", 5)}


@scenario("second sync")
def load_twice(lab: Lab) -> None:
    """What is read again is there once; what is new comes."""
    sync(lab)
    sync(lab)
    assert_exact(lab)
    lab.clock.advance(days=1)
    add_event(lab.project, YESTERDAY + DAY, 1)
    lab.project.add_profile("new", {"plan": "free"})
    sync(lab)
    lab.assert_events_kept(FIRST, YESTERDAY + DAY)
    lab.assert_profiles_kept()


@scenario("changed days")
def change_days(lab: Lab) -> None:
    """An edited event is replaced, a deleted one goes, one that came late is added."""
    sync(lab)
    lab.project.events[YESTERDAY].clear()
    add_event(lab.project, YESTERDAY, 0, plan="edited")
    add_event(lab.project, YESTERDAY, 9, late=True)
    sync(lab)
    assert_exact(lab)


@scenario("emptied days")
def empty_days(lab: Lab) -> None:
    """A day without events is empty, and its neighbour is untouched; so are all days."""
    sync(lab)
    lab.project.events[YESTERDAY].clear()
    sync(lab)
    assert_exact(lab)
    assert lab.count_by_day() == {str(FIRST): EVENTS_PER_DAY}
    lab.project.events[FIRST].clear()
    lab.project.profiles.clear()
    sync(lab)
    assert lab.rows("export") == lab.rows("engage") == []


@scenario("late events")
def catch_up(lab: Lab) -> None:
    """A catch-up adds what came late for a day that no sync reads again."""
    lab.overrides["anchor_date"] = SETTLED
    add_event(lab.project, SETTLED, 0)
    sync(lab)
    lab.clock.advance(days=1)
    add_event(lab.project, SETTLED, 7, mp_processing_time_ms=int(lab.clock.now * 1000))
    lab.clock.advance(days=1)
    assert lab.catch_up().failures == {}
    lab.assert_events_kept(SETTLED)


@scenario("lists")
def load_lists(lab: Lab) -> None:
    """Cohorts and groups are replaced, each part for itself; profiles that went go."""
    settings = {"data_group_ids": GROUP}
    lab.project.groups[GROUP] = [b'{"$distinct_id":"g1","$properties":{"$name":"Acme"}}']
    sync(lab, "engage", "cohorts", "groups", **settings)
    assert [row["name"] for row in lab.rows("cohorts")] == ["All"]
    del lab.project.profiles[0]
    lab.project.cohorts[:] = [{"id": 2, "project_id": 1234567, "name": "Other"}]
    lab.project.groups[GROUP] = [b'{"$distinct_id":"g2","$properties":{"$name":"Umbrella"}}']
    sync(lab, "engage", "cohorts", "groups", **settings)
    lab.assert_profiles_kept()
    assert [row["name"] for row in lab.rows("cohorts")] == ["Other"]
    assert [row["distinct_id"] for row in lab.rows("groups")] == ["g2"]
    lab.project.cohorts.clear()
    sync(lab, "cohorts")
    assert lab.rows("cohorts") == []


@scenario("history")
def keep_history(lab: Lab) -> None:
    """Of cohort members: who left is closed, who came is open, who came back has two rows."""
    for members in (["u0", "u1", "u2"], ["u1", "u3"], ["u0", "u1", "u3"]):
        lab.project.cohort_members[1] = members
        sync(lab, "cohort_members")
    rows = [
        (row["distinct_id"], row["_dlt_valid_to"] is None) for row in lab.rows("cohort_members")
    ]
    assert sorted(rows) == [
        ("u0", False),
        ("u0", True),
        ("u1", True),
        ("u2", False),
        ("u3", True),
    ]


@scenario("type drift")
def drift(lab: Lab) -> None:
    """Values of all types under one name, within a day and over days, are read back."""
    for number, value in enumerate(VALUES):
        add_event(lab.project, FIRST, 100 + number, drifting=value)
    sync(lab)
    for number, value in enumerate(reversed(VALUES)):
        add_event(lab.project, YESTERDAY, 100 + number, drifting=value, later=value)
    sync(lab)
    assert_exact(lab)


@scenario("wide rows")
def load_wide_rows(lab: Lab) -> None:
    """Properties past the cap of columns are in the JSON column."""
    settings = {"max_columns": 60}
    add_event(lab.project, FIRST, 50, **{f"wide {number}": number for number in range(80)})
    sync(lab, **settings)
    add_event(lab.project, YESTERDAY, 51, **{f"wider {number}": [number] for number in range(450)})
    sync(lab, **settings)
    assert_exact(lab)


@scenario("names")
def load_names(lab: Lab) -> None:
    """Names that differ in case or accents, or are those of columns, collide nowhere."""
    named = {name: number for number, name in enumerate(HOSTILE_NAMES)}
    for fixed in ("time", "distinct_id", "$distinct_id", "$insert_id", "insert_id"):
        named.pop(fixed, None)
    add_event(lab.project, YESTERDAY, 60, **named)
    sync(lab)
    assert_exact(lab)


@scenario("poison")
def load_poison(lab: Lab) -> None:
    """What no database stores is repaired, and rows of another shape are set aside, once."""
    add_event(lab.project, YESTERDAY, 70, nul="a\0b", surrogate="\ud83d", big=2**70, nan=[2**90])
    lab.project.events[YESTERDAY].append(b'{"event":null,"properties":{}}')
    for _ in range(2):
        sync(lab)
        assert len(lab.rows("_mixpanel_rejected")) == 1
    del lab.project.events[YESTERDAY][-1]
    assert_exact(lab)


@scenario("backfill")
def backfill(lab: Lab) -> None:
    """A range of days is loaded beside the syncs, twice, in windows of other sizes."""
    sync(lab)
    for number in range(3):
        add_event(lab.project, SETTLED, number)
        add_event(lab.project, SETTLED + DAY, number)
    for window_days in (2, 1):
        result = lab.backfill(f"{SETTLED},{SETTLED + DAY}", window_days=window_days)
        assert result.failures == {}
    assert_exact(lab)


@scenario("purge")
def purge(lab: Lab) -> None:
    """A settled day that Mixpanel no longer serves stays, unless deletions are accepted."""
    for number in range(5):
        add_event(lab.project, SETTLED, number)
    days = f"{SETTLED},{SETTLED}"
    lab.backfill(days)
    lab.project.events[SETTLED] = []
    add_event(lab.project, SETTLED, 8)
    lab.clock.advance(days=1)
    for _ in range(2):
        assert lab.backfill(days).failures == {}
        assert lab.count_by_day() == {str(SETTLED): 6}
    assert lab.backfill(days, accept_deletions=True).failures == {}
    assert lab.count_by_day() == {str(SETTLED): 1}


@scenario("forget")
def forget(lab: Lab) -> None:
    """A person goes from every table, and no load brings it back."""
    lab.project.cohort_members[1] = ["u0", "u1"]
    tables = ("export", "engage", "cohort_members")
    sync(lab, *tables)
    removed = mixpanel_source.forget(["u0"], destination=destination_name(lab), clock=lab.clock)
    assert dict(removed.rows) == {"export": 4, "engage": 1, "cohort_members": 1}
    sync(lab, *tables)
    for table in tables:
        assert "u0" not in {row["distinct_id"] for row in lab.rows(table)}
    assert len(lab.rows("export")) == 2


@scenario("lost tables")
def lose_tables(lab: Lab) -> None:
    """A table that somebody drops is made again, with its rows."""
    sync(lab)
    with lab.pipeline.sql_client() as client:
        client.execute_sql(f"DROP TABLE {client.make_qualified_table_name('export')}")
    sync(lab)
    assert_exact(lab)


@scenario("commands")
def run_commands(lab: Lab) -> None:
    """`status`, `plan` and `reconcile` read what is loaded."""
    add_event(lab.project, SETTLED, 0)
    sync(lab, anchor_date=SETTLED)
    settings = {**lab.settings, "anchor_date": SETTLED}
    name = destination_name(lab)
    found = status(destination=name, clock=lab.clock, **settings)
    rows = {table.table: table.rows for table in found.tables}
    assert rows == {"export": 2 * EVENTS_PER_DAY + 1, "engage": 5}
    files = [table.files for table in found.tables if table.files is not None]
    if name in DATABASES:
        assert files == []
    else:
        # a day each; of profiles, Parquet keeps the file that a new table begins with
        numbers = [number for number, _ in files]
        assert numbers == ([3, 2] if name == "parquet" else [3, 1])
        assert all(size > 0 for _, size in files)
    assert found.outcome == "done"
    planned = plan(["export"], destination=name, clock=lab.clock, **settings)
    assert planned.requests == 5
    assert reconcile(destination=name, clock=lab.clock, **settings).agrees


@scenario("one owner")
def refuse_others(lab: Lab) -> None:
    """Another project is refused before any request, and a second job while one is loading."""
    sync(lab)
    with pytest.raises(ConfigError, match="but the dataset holds project"):
        lab.sync(project_id=7654321)
    assert lab.sandbox.requests == []
    access = destination_of(lab.pipeline).acquire()
    with pytest.raises(BusyError):
        lab.sync(max_wait_s=0)
    access.release()
    sync(lab)
    assert_exact(lab)


@scenario("kills")
def kill(lab: Lab) -> None:
    """Killed between any two steps of a load, a sync that is run again is exact."""
    sync(lab)
    lab.project.events[YESTERDAY].clear()
    add_event(lab.project, YESTERDAY, 5, price="changed")
    name = destination_name(lab)
    kill_syncs(lab, "export", KILL_POINTS, destination=name)
    del lab.project.profiles[0]
    kill_syncs(lab, "engage", KILL_POINTS, destination=name)
    sync(lab)
    assert_exact(lab)


def small_project() -> Project:
    """The project of a scenario: two days of three events, five profiles and a cohort."""
    return make_project(FIRST, YESTERDAY)
