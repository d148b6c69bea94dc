"""A backfill: the days it is given and no others, whatever syncs do."""

from __future__ import annotations

from datetime import date

import pytest

from mixpanel_sandbox import Fault
from mixpanel_source.errors import ConfigError, ServerError
from mixpanel_source.tables.package import Checkpoint, TablePart
from tests.support.lab import Lab, open_lab
from tests.support.projects import ALL_DAYS, ANCHOR, LOOKBACK, add_event, make_project

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 4)
RANGE = "2026-11-01,2026-11-04"
DAYS = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"]


@pytest.mark.parametrize("window_days", [1, 3])
def test_loads_those_days_alone(window_days: int) -> None:
    """Of an empty database a backfill fills the days of its range, both ends included."""
    with open_lab(make_project(date(2026, 10, 30))) as lab:
        report = lab.backfill(RANGE, window_days=window_days)
        assert lab.exported == (DAYS if window_days == 1 else ["2026-11-01..2026-11-03", DAYS[3]])
        lab.assert_events_kept(FIRST, LAST)
        assert report.rows == {"export": 12}


def test_cursor_is_neither_read_nor_moved(any_lab: Lab) -> None:
    """Syncs before and after a backfill do what they would have done without it."""
    lab = any_lab
    for number in range(3):
        add_event(lab.project, FIRST, number)
    lab.backfill(RANGE)
    assert lab.exported == DAYS
    lab.sync("export")
    assert lab.exported == ALL_DAYS
    lab.backfill(RANGE)
    assert lab.exported == DAYS
    lab.sync("export")
    assert lab.exported == LOOKBACK
    lab.assert_events_kept(FIRST)


def test_range_within_what_is_synced_is_replaced(lab: Lab) -> None:
    """Days that a sync has loaded are loaded again, and are as they are now."""
    lab.sync("export")
    del lab.project.events[ANCHOR][0]
    lab.project.events[date(2026, 11, 14)].clear()
    lab.backfill("2026-11-13,2026-11-14", accept_deletions=True)
    lab.assert_events_kept()


def test_interrupted_goes_on_where_it_was() -> None:
    """A backfill that failed half-way asks only for the days that are left."""
    with open_lab(make_project(FIRST)) as lab:
        lab.sandbox.inject(Fault("502", day=date(2026, 11, 3)))
        report = lab.backfill(RANGE, retries=0)
        assert isinstance(report.failures[TablePart("export")], ServerError)
        lab.assert_events_kept(FIRST, date(2026, 11, 2))
        assert lab.backfill(RANGE).failures == {}
        assert lab.exported == DAYS[2:]
        lab.assert_events_kept(FIRST, LAST)


def test_another_range_does_not_take_over(lab: Lab) -> None:
    """Where one backfill stopped is nothing to a backfill of other days."""
    lab.sandbox.inject(Fault("502", day=date(2026, 11, 15)))
    lab.backfill("2026-11-13,2026-11-16", retries=0)
    lab.backfill("2026-11-13,2026-11-15")
    assert lab.exported == ALL_DAYS[:3]


def test_same_range_again_reads_again(lab: Lab) -> None:
    """A backfill that is done is done anew when asked for again."""
    for _ in range(2):
        lab.backfill("2026-11-13,2026-11-14", checkpoint=Checkpoint(bytes=1))
        assert lab.exported == ALL_DAYS[:2]
    lab.assert_events_kept(last=date(2026, 11, 14))


def test_future_is_cut_at_yesterday(lab: Lab) -> None:
    """Days that are not over are left out: Mixpanel would refuse a day after its today."""
    assert lab.backfill("2026-11-19,2027-01-31").failures == {}
    assert lab.exported == ["2026-11-19", "2026-11-20"]
    lab.assert_events_kept(date(2026, 11, 19))


def test_future_alone_is_nothing(lab: Lab) -> None:
    """A range that has not begun asks for nothing."""
    assert lab.backfill("2026-11-21,2026-11-30").windows == []
    assert lab.sandbox.requests == []


def test_range_with_a_sync_is_refused(lab: Lab) -> None:
    """A sync with `range` set would not be a sync: it says so and loads nothing."""
    with pytest.raises(ConfigError, match="range is set"):
        lab.sync(range=RANGE)
    assert lab.sandbox.requests == []
