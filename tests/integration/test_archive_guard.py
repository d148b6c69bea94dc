"""A settled day that Mixpanel serves with markedly fewer events keeps its rows."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from tests.integration.jobs import ANCHOR, YESTERDAY, Lab, add_event, make_project, open_lab

SETTLED = date(2026, 11, 13)
"""Older than the look-back, on the day of the lab."""
RECENT = date(2026, 11, 18)
MANY = 20


def fill(lab: Lab, day: date, number: int = MANY) -> None:
    """Have a day serve that many events."""
    lab.project.events[day] = []
    for event in range(number):
        add_event(lab.project, day, event)


def keys(lab: Lab, day: date) -> set[str]:
    """The insert ids of the rows of a day; no row is there twice."""
    found = [row["insert_id"] for row in lab.rows("export") if row["event_date"] == day]
    assert len(found) == len({*found})
    return {*found}


@pytest.fixture
def loaded(any_lab: Lab) -> Lab:
    """Two days with twenty events each, loaded."""
    for day in (SETTLED, RECENT):
        fill(any_lab, day)
    any_lab.sync("export")
    return any_lab


def backfill(lab: Lab, **given: object) -> None:
    """Load all days again."""
    lab.clock.advance(days=1)
    result = lab.backfill(f"{ANCHOR},{YESTERDAY}", **given)
    assert result.failures == {}


def test_purged_day_stays(loaded: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """A settled day that comes back empty stays whole, and that is said and logged."""
    loaded.project.events[SETTLED] = []
    backfill(loaded)
    assert len(keys(loaded, SETTLED)) == MANY
    assert "export 2026-11-13: Mixpanel serves 0 of the 20 events held" in caplog.text
    (row,) = [row for row in loaded.rows("_mixpanel_loads") if row["rows_kept"]]
    assert (row["first_day"], row["rows_kept"]) == (SETTLED, MANY)
    assert json.loads(row["days_kept"]) == {"2026-11-13": {"held": MANY, "served": 0}}


def test_halved_day_stays_and_new_events_arrive(loaded: Lab) -> None:
    """Of a day that shrank the held rows stay, and what is new in it comes, once."""
    fill(loaded, SETTLED, MANY // 2)
    add_event(loaded.project, SETTLED, MANY + 5)
    for _ in range(2):
        backfill(loaded)
        assert keys(loaded, SETTLED) == {f"{SETTLED}-{n}" for n in (*range(MANY), MANY + 5)}


def test_small_deletions_are_applied(loaded: Lab) -> None:
    """A few events less are a correction: the day is replaced as ever."""
    fill(loaded, SETTLED, MANY - 1)
    backfill(loaded)
    assert len(keys(loaded, SETTLED)) == MANY - 1


def test_days_within_the_look_back_are_replaced(any_lab: Lab) -> None:
    """A recent day that became empty becomes empty."""
    fill(any_lab, RECENT)
    any_lab.sync("export")
    any_lab.project.events[RECENT] = []
    any_lab.sync("export")
    assert keys(any_lab, RECENT) == set()


def test_deletions_can_be_accepted(loaded: Lab) -> None:
    """With `accept_deletions` the table is as Mixpanel is."""
    loaded.project.events[SETTLED] = []
    backfill(loaded)
    backfill(loaded, accept_deletions=True)
    assert keys(loaded, SETTLED) == set()
    # what was kept for one package is not kept for ever
    fill(loaded, SETTLED, 3)
    backfill(loaded, accept_deletions=True)
    assert len(keys(loaded, SETTLED)) == 3


def test_kept_and_replaced_days_in_one_package(loaded: Lab) -> None:
    """Days of one window that shrank and days that changed do not mix."""
    fill(loaded, SETTLED, 2)
    grown = SETTLED + timedelta(days=1)
    fill(loaded, grown, MANY)
    backfill(loaded, window_days=4)
    assert len(keys(loaded, SETTLED)) == MANY
    assert len(keys(loaded, grown)) == MANY


def test_catch_up_keeps_too(loaded: Lab) -> None:
    """A day that was purged but for one late event gets that event, and loses none."""
    arrived_ms = int((loaded.clock.now + 3_600) * 1000)
    loaded.project.events[SETTLED] = []
    add_event(loaded.project, SETTLED, 99, mp_processing_time_ms=arrived_ms)
    loaded.clock.advance(days=2)
    assert loaded.catch_up().failures == {}
    assert keys(loaded, SETTLED) == {f"{SETTLED}-{n}" for n in (*range(MANY), 99)}


def test_first_sync_keeps_nothing() -> None:
    """Where nothing is held there is nothing to keep, however few events a day has."""
    with open_lab(make_project()) as lab:
        result = lab.sync("export")
        assert {window.rows for window in result.windows} == {3}
        assert not any(window.kept_days for window in result.windows)
