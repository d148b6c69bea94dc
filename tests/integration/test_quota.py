"""The quota of 60 requests an hour: kept, waited out, never provoked, and nothing lost meanwhile.

Time is the test's and passes in waits only, a second from request to request; the sandbox goes by
the same clock.
"""

from __future__ import annotations

import math
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mixpanel_sandbox import Fault, Sandbox
from mixpanel_source import cli
from mixpanel_source.errors import PausedError
from mixpanel_source.tables.package import Checkpoint, TablePart
from mixpanel_source.windows import DAY, iter_days
from tests.support.lab import Lab, open_lab
from tests.support.projects import (
    ANCHOR,
    EVENTS_PER_DAY,
    LOOKBACK,
    TODAY,
    YESTERDAY,
    add_event,
    make_project,
)
from tests.support.settings import UNLIMITED, set_environment, settings_for
from tests.support.slow import slow_except

HOUR_S = 3_600
LONG_S = 60
A_YEAR_AGO = date(2025, 11, 21)
AT_THE_END_ONLY = Checkpoint(bytes=10**15, seconds=10**9)


def days_before(days: int) -> date:
    """The first of so many days that end with yesterday."""
    return YESTERDAY - timedelta(days=days - 1)


def watch_waits(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets, at each long wait, how many days are fetched and not loaded."""
    sleep, missing = lab.clock.sleep, []

    def watch(seconds: float) -> None:
        if seconds > LONG_S:
            missing.append(len(set(lab.exported)) - count_days(Path("mixpanel.duckdb")))
        sleep(seconds)

    monkeypatch.setattr(lab.clock, "sleep", watch)
    return missing


def count_days(database: Path) -> int:
    """How many days have events in a DuckDB, as another process sees it."""
    with closing(duckdb.connect(str(database))) as connection:
        if ("export",) not in connection.execute("SHOW TABLES").fetchall():
            return 0
        days = connection.execute("SELECT DISTINCT event_date FROM export").fetchall()
    return len(days)


def statuses(lab: Lab) -> list[int]:
    """The statuses of the replies since the last job began."""
    return [record.status for record in lab.sandbox.requests]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_year_takes_as_few_hours_as_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A year is 365 requests in six hours and a few seconds; none is refused, none is wasted."""
    with open_lab(make_project(A_YEAR_AGO, YESTERDAY), exports_per_hour=60) as lab:
        missing = watch_waits(lab, monkeypatch)
        report = lab.sync(
            "export",
            anchor_date=A_YEAR_AGO,
            requests_per_second=1,
            requests_per_hour=60,
            checkpoint=AT_THE_END_ONLY,
        )
        assert report.failures == {}
        assert statuses(lab) == [200] * 365
        full_hours = math.ceil(365 / 60) - 1
        assert full_hours * HOUR_S <= report.seconds < full_hours * HOUR_S + 60
        # before each wait all that was fetched is loaded: the day being waited for is not fetched
        assert missing == [0] * full_hours
        lab.assert_events_kept(first=A_YEAR_AGO)


def test_stingier_server_is_put_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the quota we count on, and a server that never says when: it takes longer, no more."""
    first = days_before(70)
    with open_lab(
        make_project(first, YESTERDAY), exports_per_hour=30, rate_limit_headers=False
    ) as lab:
        missing = watch_waits(lab, monkeypatch)
        report = lab.sync(
            "export",
            anchor_date=first,
            requests_per_second=1,
            requests_per_hour=60,
            retry_base_seconds=10,
            checkpoint=AT_THE_END_ONLY,
        )
        assert report.failures == {}
        assert statuses(lab).count(200) == 70
        assert 2 * HOUR_S <= report.seconds < 3 * HOUR_S
        # the day that was refused has been asked for, and is all that is not loaded
        assert {*missing} <= {0, 1}
        lab.assert_events_kept(first=first)


@pytest.mark.parametrize("kind", ["429", "429_headers"])
def test_wait_that_is_asked_for_is_honoured(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Told to come back in so many seconds, it loads what it has, waits that long, and goes on."""
    missing = watch_waits(lab, monkeypatch)
    lab.sandbox.inject(Fault(kind, day=date(2026, 11, 16), seconds=1_234))
    assert lab.sync("export").failures == {}
    assert statuses(lab) == [200, 200, 200, 429, 200, 200, 200, 200, 200]
    assert [nap for nap in lab.clock.sleeps if nap > LONG_S] == [pytest.approx(1_234)]
    assert missing == [1]
    lab.assert_events_kept()


def test_pages_of_a_session_do_not_count() -> None:
    """All profiles are one request of the quota, however many pages they take."""
    with open_lab(make_project(), queries_per_hour=1, page_size=1) as lab:
        assert lab.sync("engage", requests_per_hour=1).failures == {}
        assert statuses(lab) == [200] * 5
        assert max(lab.clock.sleeps, default=0) < 1
        lab.assert_profiles_kept()


@pytest.mark.parametrize(
    "kind",
    slow_except(["429"], ("429", "429_headers", "429_bare")),
)
def test_refused_page_is_survived(lab: Lab, kind: str) -> None:
    """Should a page be refused for the quota after all, it is waited for and asked for again."""
    lab.sandbox.inject(Fault(kind, page=1, times=3, seconds=100))
    report = lab.sync("engage", engage_page_size=2, retry_base_seconds=10, requests_per_hour=60)
    assert report.failures == {}
    assert [record.params.get("page", "0") for record in lab.sandbox.requests] == list("011112")
    assert sum(lab.clock.sleeps) >= (10 + 20 + 40 if kind == "429_bare" else 300)
    lab.assert_profiles_kept()


def test_count_survives_a_restart() -> None:
    """A job in the same hour as another knows what that one used up, and provokes no refusal."""
    with open_lab(make_project(), exports_per_hour=8) as lab:
        lab.sync("export", requests_per_hour=8)
        assert lab.clock.sleeps == [pytest.approx(0.001, abs=1e-4)] * 7
        lab.sync("export", requests_per_hour=8)
        assert statuses(lab) == [200] * 5
        assert [nap for nap in lab.clock.sleeps if nap > LONG_S] == [
            pytest.approx(HOUR_S - 60, abs=1)
        ]
        lab.assert_events_kept()


def stop_for_now(lab: Lab, **given: Any) -> PausedError:
    """Run a sync that has not the patience for the quota, and give its reason."""
    report = lab.sync("export", requests_per_hour=5, max_wait_s=600, **given)
    failure = report.failures[TablePart("export")]
    assert isinstance(failure, PausedError)
    assert max(lab.clock.sleeps, default=0) < LONG_S
    return failure


def test_impatience_stops_with_the_work_loaded() -> None:
    """Not to wait longer than told, it stops; what it has is loaded, and the next run goes on."""
    with open_lab(make_project(), exports_per_hour=5) as lab:
        failure = stop_for_now(lab)
        assert "13:01:00 UTC" in str(failure)
        assert len(lab.exported) == 5
        lab.assert_events_kept(last=date(2026, 11, 17))
        stop_for_now(lab)
        assert lab.exported == []
        lab.clock.advance(seconds=HOUR_S)
        report = lab.sync("export", requests_per_hour=5, max_wait_s=600)
        assert sorted(lab.exported) == LOOKBACK
        assert report.failures == {}
        lab.assert_events_kept()


def test_new_days_are_not_kept_waiting() -> None:
    """With fewer requests than days to read again, new days come first and the others in turn."""
    first = days_before(3)
    with open_lab(make_project(first), exports_per_hour=3) as lab:
        lab.overrides = {"anchor_date": first, "requests_per_hour": 3, "max_wait_s": 600}
        assert lab.sync("export").failures == {}
        for new in (TODAY, TODAY + DAY):
            add_event(lab.project, new, 0)
            for late in iter_days(first, new - DAY):
                add_event(lab.project, late, 0, **{"$insert_id": f"{late}, late on {new}"})
            lab.clock.advance(days=1)
            assert isinstance(lab.sync("export").failures[TablePart("export")], PausedError)
            assert lab.exported[0] == str(new)
            assert len(lab.exported) == 3
        lab.clock.advance(seconds=HOUR_S)
        lab.sync("export")
        lab.assert_events_kept(first=first, last=TODAY + DAY)


@pytest.mark.parametrize("max_wait_s", [600, 2 * HOUR_S])
def test_failures_that_use_up_the_quota(monkeypatch: pytest.MonkeyPatch, max_wait_s: float) -> None:
    """A failure of the server counts too: if its retry has to wait for the hour, we load first."""
    faults = [Fault("503", day=date(2026, 11, 15))]
    with open_lab(make_project(), exports_per_hour=3, faults=faults) as lab:
        missing = watch_waits(lab, monkeypatch)
        report = lab.sync(
            "export",
            requests_per_hour=3,
            max_wait_s=max_wait_s,
            range=None,
            anchor_date="2026-11-13",
        )
        if max_wait_s < HOUR_S:
            assert isinstance(report.failures[TablePart("export")], PausedError)
            assert missing == []
            assert statuses(lab) == [200, 200, 503]
            lab.assert_events_kept(last=date(2026, 11, 14))
        else:
            assert report.failures == {}
            assert statuses(lab) == [200, 200, 503, *[200] * 6]
            assert missing == [1, 0]
            lab.assert_events_kept()


def test_exit_code_says_run_again_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--max-wait` ends a sync from the command line with code 75, and says when to come back."""
    project = make_project()
    first, last = min(project.events), max(project.events)
    with Sandbox(project, **{**UNLIMITED, "exports_per_hour": 5}) as sandbox:
        set_environment(monkeypatch, {**settings_for(sandbox), "requests_per_hour": 5})
        arguments = ["backfill", "--range", f"{first},{last}", "--max-wait", "10"]
        assert cli.main(arguments) == cli.LATER == 75
        assert [record.status for record in sandbox.requests] == [200] * 5
    told = capsys.readouterr()
    assert f"export: {5 * EVENTS_PER_DAY} rows" in told.out
    assert "run again then" in told.err
    assert count_days(Path("mixpanel.duckdb")) == 5


def test_failures_of_the_server_are_no_quota() -> None:
    """However little patience there is for the quota, a server that fails is tried again."""
    faults = [Fault("503", day=ANCHOR, times=3)]
    with open_lab(make_project(), faults=faults) as lab:
        report = lab.sync("export", retry_base_seconds=10, max_wait_s=20)
        assert report.failures == {}
        lab.assert_events_kept()
