"""A sync: the tables are as the project is, whatever happened on the way or in between."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import fields
from datetime import date
from pathlib import Path

import pytest

from mixpanel_sandbox import Fault
from mixpanel_source import open_pipeline
from mixpanel_source.errors import BusyError, ConfigError, PlanError, ServerError, TruncatedError
from mixpanel_source.progress import Progress
from mixpanel_source.tables.load_log import WindowLoad
from mixpanel_source.tables.package import Checkpoint, TablePart
from tests.support.fidelity import served_events
from tests.support.lab import Lab, open_lab
from tests.support.projects import (
    ALL_DAYS,
    ANCHOR,
    EVENTS_PER_DAY,
    LOOKBACK,
    TODAY,
    YESTERDAY,
    add_event,
    make_project,
)
from tests.support.settings import write_dlt_file
from tests.support.slow import slow_except

pytestmark = pytest.mark.every_destination

MIDDLE = date(2026, 11, 17)
BOUNDED = {"requests_per_hour": 30, "max_wait_s": 1}
"""A sync that does not end by itself ends with these."""


def test_loads_day_by_day_from_the_anchor_to_yesterday(any_lab: Lab) -> None:
    """A first sync asks for each day once, in order, and loads what is served of them."""
    add_event(any_lab.project, date(2026, 11, 12), 0)
    add_event(any_lab.project, TODAY, 0)
    report = any_lab.sync()
    assert report.failures == {}
    assert any_lab.exported == ALL_DAYS
    assert any_lab.count_by_day() == dict.fromkeys(ALL_DAYS, EVENTS_PER_DAY)
    any_lab.assert_events_kept()
    any_lab.assert_profiles_kept()
    assert report.rows == {"export": EVENTS_PER_DAY * len(ALL_DAYS), "engage": 5}


def test_second_sync_asks_for_the_look_back_days_only(lab: Lab) -> None:
    """Synced again, five days are read again and not a row is there twice."""
    lab.sync()
    lab.sync()
    assert lab.exported == LOOKBACK
    lab.assert_events_kept()
    lab.assert_profiles_kept()


def test_cursor_is_kept_whatever_dlt_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where dlt is told not to restore its state, a sync stores and restores it all the same."""
    monkeypatch.setenv("RESTORE_FROM_DESTINATION", "false")
    for asked in (ALL_DAYS, LOOKBACK):
        lab.pipeline = open_pipeline()
        lab.sync("export")
        assert lab.exported == asked
    lab.assert_events_kept()


def test_next_day_adds_a_day(lab: Lab) -> None:
    """The night after, the new day comes, then the days not final when last read come again."""
    lab.sync("export")
    lab.clock.advance(days=1)
    add_event(lab.project, TODAY, 0)
    lab.sync("export")
    assert lab.exported == ["2026-11-21", *LOOKBACK]
    lab.assert_events_kept(last=TODAY)


def test_settled_days_are_not_read_again(lab: Lab) -> None:
    """A day read when nothing late is expected any more is read once, however often one syncs."""
    lab.sync("export")
    lab.clock.advance(days=4)
    lab.sync("export")
    assert min(lab.exported) == "2026-11-16"
    lab.clock.advance(days=30)
    lab.sync("export")
    # the 16th to the 18th were read on the 25th, of which the 18th and 17th were settled by then
    assert min(lab.exported) == "2026-11-20"


def test_checkpoints_change_nothing_but_the_number_of_packages(lab: Lab) -> None:
    """With a load package for each window the rows are the same, and no day is asked for twice."""
    lab.overrides = {"anchor_date": "2026-11-18", "checkpoint": Checkpoint(bytes=1), **BOUNDED}
    for syncs in (1, 2):
        assert lab.sync("export").failures == {}
        # each is still open to late events when the next package is planned
        assert lab.exported == LOOKBACK[2:]
        assert len(lab.rows("_dlt_loads")) == syncs * len(LOOKBACK[2:])
        lab.assert_events_kept(date(2026, 11, 18))


def test_time_ends_a_package_too(lab: Lab) -> None:
    """A package that took long enough is loaded though it is small."""
    checkpoint = Checkpoint(seconds=25)
    lab.backfill("2026-11-13,2026-11-18", checkpoint=checkpoint, requests_per_second=0.1)
    assert len(lab.rows("_dlt_loads")) == 2
    lab.assert_events_kept(last=date(2026, 11, 18))


def make_late(lab: Lab) -> None:
    """Let an event arrive late."""
    add_event(lab.project, MIDDLE, 7, note="late")


def edit(lab: Lab) -> None:
    """Let a property of an event change."""
    lines = lab.project.events[MIDDLE]
    lines[0] = lines[0].replace(b'"plan":"free"', b'"plan":"gold"')
    assert b"gold" in lines[0]


def delete(lab: Lab) -> None:
    """Let an event go."""
    del lab.project.events[MIDDLE][1]


def move_to_another_user(lab: Lab) -> None:
    """Let a user be merged: his events get another distinct_id and keep the one they came with."""
    lines = lab.project.events[MIDDLE]
    merged = b'"distinct_id":"merged","$distinct_id_before_identity":"u0"'
    lines[0] = lines[0].replace(b'"distinct_id":"u0"', merged)
    assert b"merged" in lines[0]


def repeat(lab: Lab) -> None:
    """Let an event be there again, processed later."""
    lines = lab.project.events[MIDDLE]
    lines.append(lines[0].replace(b'500,"price"', b'900,"price"'))
    assert lines[-1] != lines[0]


def rename(lab: Lab) -> None:
    """Let an event come back under another name and insert id."""
    lines = lab.project.events[MIDDLE]
    lines[2] = lines[2].replace(b"Order", b"Purchase").replace(b"17-2", b"17-renamed")


def empty(lab: Lab) -> None:
    """Let a day lose all its events."""
    del lab.project.events[MIDDLE]


CHANGES = (make_late, edit, delete, move_to_another_user, repeat, rename, empty)
"""Another test makes them all at once, on each destination."""


@pytest.mark.parametrize(
    "change",
    slow_except((make_late, delete, empty), CHANGES),
    ids=lambda change: str(change.__name__),
)
def test_what_changed_in_between_is_changed(lab: Lab, change: Callable[[Lab], None]) -> None:
    """After the second sync the table is as the project is now."""
    before = list(served_events(lab.project))
    lab.sync("export")
    change(lab)
    assert change is repeat or before != list(served_events(lab.project))
    lab.sync("export")
    lab.assert_events_kept()


def test_all_changes_at_once_on_each_destination(any_lab: Lab) -> None:
    """Late, edited, deleted, merged, repeated and renamed events and an emptied day are as now."""
    any_lab.sync("export")
    for change in CHANGES[:-1]:
        change(any_lab)
    del any_lab.project.events[YESTERDAY]
    report = any_lab.sync("export")
    any_lab.assert_events_kept()
    assert sum(window.duplicates_dropped for window in report.windows) == 1


def test_project_without_events_is_an_empty_table(lab: Lab) -> None:
    """All days emptied leave a table without rows, on the first sync as on the second."""
    lab.sync("export")
    lab.project.events.clear()
    lab.sync("export", lookback_days=30)
    assert lab.rows("export") == []


def test_anchor_is_a_year_ago_unless_set(lab: Lab) -> None:
    """Without `anchor_date` a year is loaded, here in one request."""
    lab.overrides = {"anchor_date": None, "window_days": 366}
    lab.sync("export")
    assert lab.exported == ["2025-11-21..2026-11-20"]
    lab.assert_events_kept()


def test_today_is_loaded_if_wanted(lab: Lab) -> None:
    """With `include_today` the day under way is loaded, and again until it is final."""
    add_event(lab.project, TODAY, 0)
    lab.overrides = {"include_today": True}
    lab.sync("export")
    assert lab.exported[-1] == "2026-11-21"
    add_event(lab.project, TODAY, 1)
    lab.sync("export")
    lab.assert_events_kept(last=TODAY)
    lab.clock.advance(days=6)
    lab.sync("export")
    lab.clock.advance(days=1)
    lab.sync("export", include_today=False)
    assert "2026-11-21" not in lab.exported
    assert lab.exported


def test_windows_of_a_week(lab: Lab) -> None:
    """`window_days` days go into a request, and the rows are the same."""
    lab.sync("export", window_days=7)
    assert lab.exported == ["2026-11-13..2026-11-19", "2026-11-20"]
    lab.assert_events_kept()


def test_windows_widen_by_themselves(lab: Lab) -> None:
    """`window_days=auto` asks for more days at a time while the days are small."""
    lab.sync("export", window_days="auto")
    days = ["2026-11-13", "2026-11-14..2026-11-15", "2026-11-16..2026-11-19", "2026-11-20"]
    assert lab.exported == days
    lab.assert_events_kept()


def test_wide_window_that_widened_fails_and_is_split(lab: Lab) -> None:
    """A window that became too wide is asked for in halves, and what follows is narrower."""
    lab.sandbox.inject(Fault("terminated_early", day=MIDDLE, times=2))
    report = lab.sync("export", window_days="auto", retries=1)
    wide = "2026-11-16..2026-11-19"
    halves = ["2026-11-16..2026-11-17", "2026-11-18..2026-11-19"]
    assert lab.exported[2:] == [wide, wide, *halves, "2026-11-20"]
    assert report.failures == {}
    lab.assert_events_kept()


def test_wide_window_that_fails_is_split(lab: Lab) -> None:
    """A window that comes torn each time is asked for in halves."""
    lab.sandbox.inject(Fault("terminated_early", day=MIDDLE, times=2))
    report = lab.sync("export", window_days=8, retries=1)
    wide = "2026-11-13..2026-11-20"
    assert lab.exported == [wide, wide, "2026-11-13..2026-11-16", "2026-11-17..2026-11-20"]
    assert report.failures == {}
    lab.assert_events_kept()


def test_filters_are_passed_on(lab: Lab) -> None:
    """`events` and `where` are Mixpanel's to apply, and only what passes is loaded."""
    where = 'properties["plan"] == "pro"'
    lab.sync("export", events=["Order", "Sign up"], where=where)
    params = lab.requests_for("export")[0].params
    assert json.loads(params["event"]) == ["Order", "Sign up"]
    assert params["where"] == where
    assert {row["plan"] for row in lab.rows("export")} == {"pro"}
    assert json.loads(lab.rows("_mixpanel_loads")[0]["filters"])["where"] == where


def test_change_of_filters_is_said(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Other filters than before are warned of, once, for older days keep what they have."""
    for events in (["Order"], ["Order"], ["Sign up"], ["Sign up"]):
        lab.sync("export", events=events, anchor_date=YESTERDAY)
    assert caplog.text.count("have changed") == 1


def test_reaching_the_limit_is_an_error(lab: Lab) -> None:
    """As many events as `limit` may be fewer than there are: nothing is loaded, and it is said."""
    report = lab.sync("export", limit=EVENTS_PER_DAY)
    assert isinstance(report.failures[TablePart("export")], TruncatedError)
    assert f"limit ({EVENTS_PER_DAY})" in str(report.failures[TablePart("export")])
    assert report.windows == []
    assert lab.sync("export", limit=EVENTS_PER_DAY + 1).failures == {}
    lab.assert_events_kept()
    assert lab.spooled_files() == []


def test_another_project_is_refused(lab: Lab) -> None:
    """A dataset holds one project: another is refused before anything is asked or changed."""
    lab.sync()
    with pytest.raises(ConfigError, match="the dataset holds project 1234567"):
        lab.sync(project_id=7654321)
    assert lab.sandbox.requests == []
    lab.assert_events_kept()


def test_failed_window_keeps_those_before_it(lab: Lab) -> None:
    """What came before a window that fails is loaded; the next sync goes on with that window."""
    lab.sandbox.inject(Fault("503", day=MIDDLE))
    report = lab.sync("export", retries=0)
    assert isinstance(report.failures[TablePart("export")], ServerError)
    assert "export 2026-11-17" in str(report.failures[TablePart("export")])
    lab.assert_events_kept(last=date(2026, 11, 16))
    assert lab.sync("export").failures == {}
    # the 16th is read again for its late events
    assert lab.exported == [*LOOKBACK[1:], LOOKBACK[0]]
    lab.assert_events_kept()


def test_failure_in_the_first_window_loads_nothing(lab: Lab) -> None:
    """Nothing is loaded and no cursor moves when the first window fails; the next sync has all."""
    lab.sandbox.inject(Fault("half_line", times=6))
    report = lab.sync("export")
    assert isinstance(report.failures[TablePart("export")], TruncatedError)
    assert lab.exported == ["2026-11-13"] * 6
    lab.sync("export")
    assert lab.exported == ALL_DAYS
    lab.assert_events_kept()


def test_tables_fail_apart() -> None:
    """A plan without cohorts does not keep events and profiles from being loaded."""
    with open_lab(make_project(), unavailable=("cohorts",)) as lab:
        report = lab.sync("cohorts", "export", "engage")
        assert isinstance(report.failures.pop(TablePart("cohorts")), PlanError)
        assert report.failures == {}
        lab.assert_events_kept()
        lab.assert_profiles_kept()


def test_table_that_cannot_be_written_does_not_stop_the_next(lab: Lab) -> None:
    """If the destination refuses one table, the one after it is loaded all the same."""
    lab.sync("export")
    with lab.pipeline.sql_client() as client:
        name = client.make_qualified_table_name("engage")
        client.execute_sql(f"CREATE VIEW {name} AS SELECT 1 AS one")
    report = lab.sync("engage", "cohorts")
    assert list(report.failures) == [TablePart("engage")]
    assert [row["name"] for row in lab.rows("cohorts")] == ["All"]
    with lab.pipeline.sql_client() as client:
        client.execute_sql(f"DROP VIEW {name}")
    assert lab.sync().failures == {}
    lab.assert_profiles_kept()


def test_cohorts_are_replaced(any_lab: Lab) -> None:
    """The cohorts are those there are now, and none when there are none."""
    any_lab.sync("cohorts")
    assert [(row["id"], row["name"], row["count"]) for row in any_lab.rows("cohorts")] == [
        (1, "All", 5)
    ]
    any_lab.project.cohorts[:] = [{"id": 2, "name": "New", "count": 2**40}]
    any_lab.sync("cohorts")
    assert [(row["id"], row["count"]) for row in any_lab.rows("cohorts")] == [(2, 2**40)]
    any_lab.project.cohorts.clear()
    any_lab.sync("cohorts")
    assert any_lab.rows("cohorts") == []


def test_second_job_in_the_process_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of the pipeline while one is under way is refused, in the same process too."""
    refused: list[BusyError] = []

    def sleep(seconds: float) -> None:
        lab.clock.now += seconds
        if not refused:
            with pytest.raises(BusyError, match="pipeline mixpanel is under way") as caught:
                lab.sync("cohorts", max_wait_s=0)
            refused.append(caught.value)

    monkeypatch.setattr(lab.clock, "sleep", sleep)
    assert lab.sync("export").failures == {}
    assert refused
    lab.assert_events_kept()


def test_package_of_a_crash_is_healed(any_lab: Lab) -> None:
    """A package that was not loaded is dropped; what is in the spool is not fetched again."""
    any_lab.sync("export")
    add_event(any_lab.project, MIDDLE, 9)
    any_lab.leave_pending_package("export")
    report = any_lab.sync("export")
    assert any_lab.exported == []
    any_lab.assert_events_kept()
    assert not any_lab.pipeline.has_pending_data
    assert report.rows["export"] == EVENTS_PER_DAY * len(LOOKBACK) + 1
    assert any_lab.spooled_files() == []


def test_first_sync_after_a_crash_of_the_first(lab: Lab) -> None:
    """A crash before anything was ever loaded leaves the next sync nothing to trip over."""
    lab.leave_pending_package("export")
    lab.sync("export")
    assert lab.exported == []
    lab.assert_events_kept()


def test_spool_of_another_query_is_not_used(lab: Lab) -> None:
    """Windows spooled under other filters are fetched anew."""
    lab.leave_pending_package("export", events=["Order"])
    lab.sync("export")
    assert lab.exported == ALL_DAYS
    lab.assert_events_kept()


def test_spool_is_private_and_emptied(lab: Lab) -> None:
    """Only its owner may look into the spool, and what is loaded is gone from it."""
    lab.leave_pending_package("export")
    assert len(lab.spooled_files()) == 2 * len(ALL_DAYS)
    for directory in (lab.spool, lab.spool.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    lab.sync()
    assert lab.spooled_files() == []


def test_window_that_is_damaged_in_the_spool_is_fetched_again(lab: Lab) -> None:
    """What a crash of the machine left of a spooled window is not taken for the window."""
    lab.leave_pending_package("export")
    for path in lab.spool.glob("export-2026-11-1[45]*.jsonl"):
        path.write_bytes(path.read_bytes()[:-9])
    assert lab.sync("export").failures == {}
    assert lab.exported == ["2026-11-14", "2026-11-15"]
    lab.assert_events_kept()


def test_dump_that_is_cut_in_the_spool_is_fetched_again(lab: Lab) -> None:
    """Half of the profiles, each of them whole, are not taken for all of them."""
    lab.leave_pending_package("engage")
    (path,) = lab.spool.glob("engage-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    assert lab.sync("engage").failures == {}
    lab.assert_profiles_kept()


def test_loads_tell_of_each_window(any_lab: Lab) -> None:
    """`_mixpanel_loads` has a row for each window: days, rows, bytes, requests, what was odd."""
    lines = any_lab.project.events[MIDDLE]
    lines.append(lines[0])
    add_event(any_lab.project, date(2026, 11, 18), 8, big=2**63)
    any_lab.sandbox.inject(Fault("500", day=date(2026, 11, 19), times=2))
    any_lab.sync("export", "engage", "cohorts")
    loads = {
        (row["table_name"], str(row["first_day"])): row for row in any_lab.rows("_mixpanel_loads")
    }
    assert len(loads) == len(ALL_DAYS) + 2
    told = ("rows", "requests", "retries", "duplicates_dropped", "values_repaired", "is_final")
    assert {key: [row[name] for name in told] for key, row in loads.items()} == {
        **{("export", day): [3, 1, 0, 0, 0, day < "2026-11-16"] for day in ALL_DAYS},
        ("export", "2026-11-17"): [3, 1, 0, 1, 0, False],
        ("export", "2026-11-18"): [4, 1, 0, 0, 1, False],
        ("export", "2026-11-19"): [3, 3, 2, 0, 0, False],
        ("engage", "2026-11-21"): [5, 1, 0, 0, 0, True],
        ("cohorts", "2026-11-21"): [1, 1, 0, 0, 0, True],
    }
    assert json.loads(loads["export", "2026-11-18"]["repairs"]) == {"integer": 1}
    day = loads["export", str(ANCHOR)]
    # each time gets three digits more on the way, as milliseconds
    assert day["bytes"] == sum(len(line) + 1 + 3 for line in any_lab.project.events[ANCHOR])
    assert day["last_day"] == day["first_day"]


def test_loads_have_columns_of_their_own(lab: Lab) -> None:
    """Those of the tables they tell of, JSON ones above all, do not come along."""
    lab.project.cohort_members[1] = ["u0"]
    add_event(lab.project, MIDDLE, 8, tags=["a"], page={"path": "/"})
    lab.sync("export", "engage", "cohorts", "cohort_members", properties="both")
    (row, *_) = lab.rows("_mixpanel_loads")
    of_the_run = {"kept_days", "masked", "replaces_days"}
    own = {field.name for field in fields(WindowLoad)} - of_the_run
    derived = ["retries", "rows_kept", "days_kept", "values_repaired", "_dlt_id", "_dlt_load_id"]
    assert sorted(row) == sorted([*own, *derived])


def test_loads_keep_what_was_read_before(lab: Lab) -> None:
    """Reading a day again adds a row to `_mixpanel_loads`, so the history is kept."""
    lab.sync("export")
    lab.sync("export")
    days = [str(row["first_day"]) for row in lab.rows("_mixpanel_loads")]
    assert sorted(days) == sorted(ALL_DAYS + LOOKBACK)


def test_lost_working_directory_changes_nothing(lab: Lab) -> None:
    """What is loaded is known from the destination: a machine without dlt's files goes on."""
    lab.sync()
    lab.pipeline.drop()
    lab.sync("export")
    assert lab.exported == LOOKBACK
    lab.assert_events_kept()


class Editor(Progress):
    """Breaks the file of settings as soon as the first package is loaded."""

    def __init__(self, directory: Path) -> None:
        """Edit the file in a directory."""
        self._directory = directory

    def package_loaded(self, table: str) -> None:
        """Write what no setting may be."""
        write_dlt_file(
            self._directory, "config.toml", f'[sources.mixpanel]\nlookback_days = "{table}"\n'
        )


def test_settings_of_a_run_are_read_once(lab: Lab, tmp_path: Path) -> None:
    """A bad edit while a run is in progress does not fail it; the next run reports it."""
    result = lab.sync("export", "engage", progress=Editor(tmp_path))
    assert result.failures == {}
    assert set(result.rows) == {"export", "engage"}
    with pytest.raises(ConfigError, match="lookback_days is 'engage'"):
        lab.sync("export")
