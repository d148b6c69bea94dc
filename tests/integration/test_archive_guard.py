"""A settled day that Mixpanel serves with markedly fewer events keeps its rows."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source import cli, status
from mixpanel_source.tables.events.archive_guard import MIN_SERVED_SHARE, find_kept_days
from tests.support.lab import Lab, open_lab
from tests.support.projects import ANCHOR, YESTERDAY, add_event, make_project
from tests.support.settings import set_environment

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


def test_a_purge_takes_nothing(any_lab: Lab) -> None:
    """Of thirty days twenty are purged or halved: sync, catch-up and backfill lose no row."""
    first = YESTERDAY - timedelta(days=29)
    days = [first + timedelta(days=number) for number in range(30)]
    for day in days:
        fill(any_lab, day, 4)
    wanted = f"{first},{YESTERDAY}"
    any_lab.backfill(wanted, window_days=7)
    loaded = any_lab.count_by_day()
    for day in days[:10]:
        fill(any_lab, day, 0)
    for day in days[10:20]:
        fill(any_lab, day, 2)
    any_lab.clock.advance(days=1)
    any_lab.sync("export", anchor_date=first, window_days=7)
    any_lab.catch_up()
    result = any_lab.backfill(wanted, window_days=7)
    assert any_lab.count_by_day() == loaded
    assert [*result.kept_days] == days[:20]
    any_lab.backfill(wanted, window_days=7, accept_deletions=True)
    assert any_lab.count_by_day() == {str(day): 2 if day in days[:20] else 4 for day in days[10:]}


@pytest.mark.parametrize("reads", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_any_history_of_a_day(lab: Lab, reads: int) -> None:
    """Whatever a settled day serves, read by read, the table is what the rule says."""
    chance = random.Random(reads)  # noqa: S311 - the same histories every time
    fill(lab, SETTLED)
    lab.sync("export")
    held = keys(lab, SETTLED)
    for _ in range(reads):
        numbers = [
            n for n in range(2 * MANY) if chance.random() < chance.choice((0.0, 0.3, 0.9, 1.0))
        ]
        lab.project.events[SETTLED] = []
        for number in numbers:
            add_event(lab.project, SETTLED, number)
        backfill(lab)
        served = {f"{SETTLED}-{number}" for number in numbers}
        held = held | served if len(served) < len(held) * MIN_SERVED_SHARE else served
        assert keys(lab, SETTLED) == held


counts = st.dictionaries(st.dates(date(2026, 1, 1), date(2026, 1, 9)), st.integers(0, 50))


@given(held=counts, served=counts, lookback_days=st.integers(0, 9), age=st.integers(0, 20))
def test_only_settled_days_that_shrank_are_kept(
    held: dict[date, int], served: dict[date, int], lookback_days: int, age: int
) -> None:
    """A day is kept if it is older than the look-back and markedly smaller, and only then."""
    read_on = date(2026, 1, 5) + timedelta(days=age)
    kept = find_kept_days(held, served, read_on=read_on, lookback_days=lookback_days)
    for day, number in held.items():
        is_settled = (read_on - day).days > lookback_days
        assert (day in kept) == (is_settled and served.get(day, 0) < number * MIN_SERVED_SHARE)


def test_backfill_that_changes_nothing_has_its_own_exit_code(loaded: Lab) -> None:
    """Exit code 3 if no day changed and no event is new; 0 if either did."""
    days = f"{SETTLED},{SETTLED}"
    loaded.clock.advance(days=1)
    fill(loaded, SETTLED, MANY // 2)
    assert loaded.backfill(days).exit_code == cli.UNCHANGED
    add_event(loaded.project, SETTLED, MANY + 1)
    assert loaded.backfill(days).exit_code == cli.DONE
    assert loaded.backfill(days).exit_code == cli.UNCHANGED
    assert loaded.backfill(f"{SETTLED},{YESTERDAY}").exit_code == cli.DONE
    assert loaded.sync("export").exit_code == cli.DONE
    assert loaded.backfill(days, accept_deletions=True).exit_code == cli.DONE


def test_status_shows_what_is_kept(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The days that are kept now, and the command that deletes them, until it has."""
    fill(lab, SETTLED)
    lab.sync("export")
    lab.project.events[SETTLED] = []
    backfill(lab)
    (table,) = status(**lab.settings).tables
    assert table.kept_days == {SETTLED: (MANY, 0)}
    set_environment(monkeypatch, lab.settings)
    assert cli.main(["status"]) == cli.DONE
    command = f"backfill --range {SETTLED},{SETTLED} --accept-deletions"
    assert "export keeps 20 rows of 1 day that Mixpanel no longer serves" in (
        output := capsys.readouterr().out
    )
    assert command in output
    lab.clock.advance(seconds=60)
    assert cli.main(command.split()) == cli.DONE
    (table,) = status(**lab.settings).tables
    assert table.kept_days == {}
