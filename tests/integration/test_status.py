"""What is loaded, what is missing and how the last run ended; never a request."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timezone
from typing import Any

import pytest

from mixpanel_sandbox import Fault
from mixpanel_source.commands.plan import plan
from mixpanel_source.commands.status import Status, find_gaps
from mixpanel_source.commands.status import status as read_status
from mixpanel_source.destinations.registry import target_of
from mixpanel_source.errors import BusyError, ConfigError, MixpanelError
from mixpanel_source.jobs.history import LastRun, read_last_run, write_last_run
from mixpanel_source.jobs.lock import pipeline_lock
from mixpanel_source.jobs.pipeline import open_pipeline
from mixpanel_source.windows import Window
from tests.support.clock import NOON
from tests.support.lab import Lab, open_lab
from tests.support.projects import ANCHOR, TODAY, YESTERDAY, make_project


def status(lab: Lab, destination: str = "duckdb", **given: Any) -> Status:
    """The status of the lab's database."""
    return read_status(destination=destination, clock=lab.clock, **{**lab.settings, **given})


def test_status_before_anything_is_loaded(lab: Lab) -> None:
    """There is nothing, and that is no error."""
    found = status(lab)
    assert (found.project_id, found.tables, found.loads, found.last_run) == (None, [], [], None)


def test_status_tells_what_is_loaded(lab: Lab) -> None:
    """Rows, days, the newest event, when it was read and what was used of the quota."""
    lab.sync("export", "engage", requests_per_hour=60)
    lab.sandbox.forget_requests()
    found = status(lab, requests_per_hour=60)
    export, engage = found.tables
    assert (export.rows, export.first, export.last) == (24, ANCHOR, YESTERDAY)
    assert (export.synced_through, export.gaps) == (YESTERDAY, [])
    assert str(export.newest_event) == "2026-11-20 00:02:00+00:00"
    assert engage.rows == 5
    assert engage.read_at is not None
    assert engage.read_at.timestamp() == pytest.approx(NOON + 60, abs=60)
    assert [(load.table, load.rows) for load in found.loads][:2] == [("engage", 5), ("export", 3)]
    assert (found.used, found.per_hour) == ({"query": 1, "export": 8}, 60)
    assert found.outcome == "done"
    assert lab.sandbox.requests == []


def test_failed_jobs_are_raised(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting with which dlt takes a package for loaded that was refused is refused itself."""
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    with pytest.raises(ConfigError, match=r"load\.raise_on_failed_jobs is false"):
        lab.sync("export")
    assert lab.sandbox.requests == []


def test_incomplete_loads_are_not_loaded(any_lab: Lab) -> None:
    """Days that only the load log has are missing: it is committed apart from the data."""
    any_lab.sync("export")
    any_lab.clock.advance(days=3)
    any_lab.sync("export")
    with any_lab.pipeline.sql_client() as client:
        loads = client.make_qualified_table_name("_dlt_loads")
        newest = f"SELECT max(load_id) FROM {loads}"
        client.execute_sql(f"DELETE FROM {loads} WHERE load_id = ({newest})")
    assert max(row["last_day"] for row in any_lab.rows("_mixpanel_loads")) > YESTERDAY
    destination = any_lab.pipeline.destination.destination_name
    found = status(any_lab, destination)
    export = found.tables[0]
    assert (export.last, export.synced_through) == (YESTERDAY, YESTERDAY)
    assert export.read_at is not None
    assert export.read_at.date() == TODAY
    assert found.loads[0].window.last == YESTERDAY
    planned = plan(["export"], destination=destination, clock=any_lab.clock, **any_lab.settings)
    assert planned.tables[0].days - planned.tables[0].days_again == 3


def test_status_of_postgres(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is asked in the same way, before anything is there and after; or it is not there."""
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres)
    with open_lab(make_project(), open_pipeline("postgres")) as lab:
        assert status(lab, "postgres").tables == []
        lab.sync("export", anchor_date="2026-11-18")
        (export,) = status(lab, "postgres").tables
        assert (export.rows, export.first, export.gaps) == (9, date(2026, 11, 18), [])
        assert export.newest_event == datetime(2026, 11, 20, 0, 2, tzinfo=timezone.utc)
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres.rpartition("_")[0])
        with pytest.raises(MixpanelError, match="destination postgres cannot be reached"):
            status(lab, "postgres")


def test_status_tells_gaps(lab: Lab) -> None:
    """Days that neither a sync nor a backfill has loaded are missing; empty days are not."""
    lab.project.events.pop(date(2026, 11, 19))
    lab.sync("export", anchor_date="2026-11-18")
    lab.backfill("2026-11-13,2026-11-14")
    (export,) = status(lab).tables
    assert export.gaps == [Window(date(2026, 11, 15), date(2026, 11, 17))]


def test_gaps_lie_between_windows() -> None:
    """None before the first or after the last, whatever the order; windows may overlap."""
    days = [date(2026, 11, number) for number in range(1, 10)]
    windows = [Window(days[6], days[8]), Window(days[0], days[1]), Window(days[1], days[3])]
    assert find_gaps(windows) == [Window(days[4], days[5])]
    assert find_gaps([]) == []


def test_tables_that_were_dropped_are_not_told(lab: Lab) -> None:
    """What somebody has dropped by hand is not there; what is left is told as far as it goes."""
    lab.sync("export", "engage", anchor_date="2026-11-20")
    for dropped, left in (("engage", ["export"]), ("_mixpanel_loads", ["export"])):
        with lab.pipeline.sql_client() as client:
            client.execute_sql(f"DROP TABLE {dropped}")
        found = status(lab)
        assert [table.table for table in found.tables] == left
    (export,) = found.tables
    assert (export.rows, export.read_at, export.gaps) == (3, None, [])


def test_status_tells_a_failure(lab: Lab) -> None:
    """A run that failed says why, until one has succeeded."""
    lab.sandbox.inject(Fault("500", table="engage", times=6))
    lab.sync("export", "engage")
    found = status(lab)
    assert found.outcome == "failed"
    assert found.last_run is not None
    assert found.last_run.rows == 24
    assert list(found.last_run.failures) == ["engage"]
    assert "status 500" in found.last_run.failures["engage"]
    lab.sync("engage")
    assert status(lab).outcome == "done"


def test_status_tells_what_ended_a_run_as_a_whole(lab: Lab) -> None:
    """What is no table's error is told as well, without a secret; so is a quota that ran out."""
    with pytest.raises(Exception, match="secret"):
        lab.sync("export", secret="not-the-secret")
    failed = status(lab)
    assert failed.outcome == "failed"
    assert failed.last_run is not None
    assert "Check username and secret" in failed.last_run.failures[""]
    assert "not-the-secret" not in target_of(lab.pipeline).last_run_file.read_text()
    lab.sync("export", requests_per_hour=2, max_wait_s=0)
    assert status(lab).outcome == "stopped"


def test_status_tells_a_run_that_was_killed(lab: Lab) -> None:
    """A run that never said how it ended is under way while it holds the lock, and killed after."""
    lab.sync("engage")
    write_last_run(
        target_of(lab.pipeline).last_run_file, LastRun("sync", ["engage"], began_at=NOON)
    )
    with pipeline_lock(lab.pipeline):
        assert status(lab).outcome == "running"
    assert status(lab).outcome == "killed"


def test_damaged_note_is_no_note(lab: Lab) -> None:
    """A file that is no note of a run, as a full disk leaves it, is as if there were none."""
    lab.sync("engage")
    path = target_of(lab.pipeline).last_run_file
    for text in ("", "{", "[]", '{"other": 1}'):
        path.write_text(text)
        assert read_last_run(path) is None
    assert status(lab).last_run is None


def test_database_in_use_is_said(lab: Lab) -> None:
    """While another process has the file open, there is one line that says so."""
    lab.sync("engage")
    lab.pipeline.deactivate()
    hold = "import duckdb; held = duckdb.connect('mixpanel.duckdb'); print(flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", hold], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(BusyError, match=r"mixpanel\.duckdb is open in another process"):
            status(lab)
        process.communicate(b"\n")
