"""What a job would fetch is what it then fetches, and finding out costs no request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mixpanel_source.commands.plan import Plan, count_windows
from mixpanel_source.commands.plan import plan as make_plan
from mixpanel_source.tables.package import Checkpoint
from mixpanel_source.windows import iter_days
from tests.support.lab import Lab
from tests.support.projects import ALL_DAYS, ANCHOR, LOOKBACK


def plan(lab: Lab, tables: Sequence[str] = ("export",), **given: Any) -> Plan:
    """What a job of the lab would fetch now."""
    return make_plan(tables, clock=lab.clock, **{**lab.settings, **given})


def test_plan_before_anything_is_loaded(lab: Lab) -> None:
    """Without a database there is all to do; none is made, and nothing is asked."""
    planned = plan(lab, ("export", "engage", "cohorts"))
    export = planned.tables[0]
    assert (str(export.first), str(export.last)) == (ALL_DAYS[0], ALL_DAYS[-1])
    assert (export.days, export.requests, export.days_again) == (8, 8, 0)
    assert export.auto_requests == (4, 8)
    assert planned.requests == 10
    assert lab.sandbox.requests == []
    assert not Path("mixpanel.duckdb").exists()


@pytest.mark.parametrize("window_days", [1, 3, "auto"])
def test_plan_is_what_a_sync_asks_for(lab: Lab, window_days: int | str) -> None:
    """As many requests as a sync then makes, the first time and days later."""
    lab.overrides = {"window_days": window_days}
    for again in (0, len(LOOKBACK)):
        planned = plan(lab)
        lab.sync("export")
        assert planned.requests == len(lab.exported)
        assert planned.tables[0].days_again == again
        lab.clock.advance(days=2)


def test_plan_changes_nothing(lab: Lab) -> None:
    """The database has the same bytes after it, and the pipeline is where it was."""
    lab.sync("export")
    before = Path("mixpanel.duckdb").read_bytes()
    plan(lab)
    assert Path("mixpanel.duckdb").read_bytes() == before
    lab.clock.advance(days=1)
    lab.sync("export")
    assert len(lab.exported) == 6


def test_plan_of_a_backfill_is_what_is_left_of_it(lab: Lab) -> None:
    """Of a backfill that stopped for the quota, only the days to come are planned."""
    days = {"range": f"{ALL_DAYS[0]},{ALL_DAYS[4]}"}
    assert plan(lab, **days).tables[0].days == 5
    stopped = lab.backfill(
        days["range"], requests_per_hour=2, max_wait_s=0, checkpoint=Checkpoint(bytes=1)
    )
    assert stopped.failures
    assert plan(lab, **days).tables[0].days == 3


def test_plan_knows_what_the_quota_allows(lab: Lab) -> None:
    """Eight requests at three an hour take two hours, and one more where the hour is used up."""
    assert plan(lab, requests_per_hour=3).min_s == pytest.approx(7_200, abs=1)
    lab.backfill(f"{ALL_DAYS[0]},{ALL_DAYS[2]}", requests_per_hour=3)
    planned = plan(lab, requests_per_hour=3)
    assert planned.used == {"query": 0, "export": 3}
    assert planned.min_s == pytest.approx(10_800, abs=120)


def test_plan_of_auto_has_two_ends(lab: Lab) -> None:
    """What is asked for depends on the answers: the plan tells the best and the worst."""
    planned = plan(lab, ("export", "engage"), window_days="auto", requests_per_hour=3)
    assert (planned.requests, planned.max_requests) == (5, 9)
    assert planned.min_s == pytest.approx(3_600, abs=1)
    assert planned.max_s == pytest.approx(7_200, abs=1)


def test_a_year_of_quiet_days_takes_16_requests() -> None:
    """That is what the README says of `auto`, and of seven days at a time."""
    year = list(iter_days(date(2025, 11, 21), date(2026, 11, 20)))
    assert [count_windows(year, days) for days in (None, 7, 1)] == [16, 53, 365]
    assert count_windows([], None) == 0
    assert count_windows([ANCHOR], None) == 1
