"""Which days are fetched, and in which requests."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.constants import LOOKBACK_DAYS_MAX
from mixpanel_source.windows import (
    DAY,
    Window,
    WindowQueue,
    WindowSizer,
    days_to_search,
    days_to_sync,
    iter_days,
    newest_day,
    settled_on,
)

START = date(2024, 2, 20)

day_lists = st.lists(st.booleans(), max_size=60).map(
    lambda wanted: [START + DAY * number for number, is_wanted in enumerate(wanted) if is_wanted]
)


def take_all(days: list[date], window_days: int) -> list[Window]:
    """The windows of `days`, of a fixed length."""
    queue = WindowQueue(days, WindowSizer(window_days))
    windows: list[Window] = []
    while queue:
        assert queue.peek() == queue.peek()
        windows.append(queue.next())
    return windows


@given(days=day_lists, window_days=st.integers(1, 9), data=st.data())
def test_a_window_that_failed_is_tried_in_halves(
    days: list[date], window_days: int, data: st.DataObject
) -> None:
    """Whatever fails, each day comes once, in order, and a single day is not split."""
    queue = WindowQueue(days, WindowSizer(window_days))
    taken: list[date] = []
    while queue:
        window = queue.next()
        if data.draw(st.booleans()) and queue.split(window):
            assert window.length_days > 1
            assert queue.peek().last < window.last
        else:
            taken += window.days
    assert taken == days


@given(days=day_lists, window_days=st.integers(1, 9))
def test_windows_cover_each_day_once(days: list[date], window_days: int) -> None:
    """The days of the windows are the wanted days, in order, and none is longer than allowed."""
    windows = take_all(days, window_days)

    assert [day for window in windows for day in window.days] == days
    assert all((window.last - window.first).days < window_days for window in windows)


@given(days=day_lists, window_days=st.integers(1, 9))
def test_windows_are_as_few_as_can_be(days: list[date], window_days: int) -> None:
    """A window ends only where a day is not wanted or where it is full."""
    for window, following in pairwise(take_all(days, window_days)):
        is_full = (window.last - window.first).days + 1 == window_days
        assert is_full or following.first > window.last + DAY


@given(first=st.dates(START, START + DAY * 9), length=st.integers(1, 40))
def test_halves(first: date, length: int) -> None:
    """Both halves together are the window, of sizes that differ by a day at most."""
    window = Window(first, first + DAY * (length - 1))
    halves = window.halves()
    if length == 1:
        assert halves is None
        return
    assert halves is not None
    left, right = ([*half.days] for half in halves)
    assert left + right == [*window.days]
    assert len(left) - len(right) in (0, 1)


@given(days=day_lists, window_days=st.integers(1, 9), number=st.integers(0, 5))
def test_upcoming_windows_are_the_next_ones(
    days: list[date], window_days: int, number: int
) -> None:
    """However many are looked at, and whatever was split before."""
    queue = WindowQueue(days, WindowSizer(window_days))
    if queue:
        first = queue.next()
        queue.split(first)
    upcoming = queue.upcoming(number)
    windows = []
    while queue:
        windows.append(queue.next())
    assert upcoming == windows[:number]


def test_days_of_nothing() -> None:
    """There are no days when the last one is before the first."""
    assert list(iter_days(START, START - DAY)) == []


def test_window_text() -> None:
    """A window of one day is that day, others are both ends."""
    assert str(Window(START, START)) == "2024-02-20"
    assert str(Window(START, START + DAY * 10)) == "2024-02-20..2024-03-01"


@pytest.mark.parametrize(
    ("now", "zone", "yesterday"),
    [
        ("2026-11-21T00:00:00+00:00", "UTC", "2026-11-20"),
        ("2026-11-20T23:59:59+00:00", "UTC", "2026-11-19"),
        ("2026-11-21T01:00:00+02:00", "UTC", "2026-11-19"),
        ("2026-11-21T07:59:00+00:00", "US/Pacific", "2026-11-19"),
        ("2026-11-21T08:00:00+00:00", "US/Pacific", "2026-11-20"),
        ("2026-07-01T06:59:00+00:00", "US/Pacific", "2026-06-29"),
        ("2026-07-01T07:00:00+00:00", "US/Pacific", "2026-06-30"),
        # the day begins earlier there, but may be reckoned in UTC
        ("2026-11-20T23:00:00+00:00", "Asia/Tokyo", "2026-11-19"),
        ("2026-11-21T00:00:00+00:00", "Asia/Tokyo", "2026-11-20"),
    ],
)
def test_newest_day(now: str, zone: str, yesterday: str) -> None:
    """The day before the earlier of both todays, or that today itself if it is wanted."""
    instant = datetime.fromisoformat(now)
    expected = date.fromisoformat(yesterday)

    assert newest_day(instant, zone=zone, include_today=False) == expected
    assert newest_day(instant, zone=zone, include_today=True) == expected + DAY


def test_settled_on() -> None:
    """A day of the 1st with five days of grace is final from the 7th on, when the 6th is over."""
    assert settled_on(date(2026, 3, 1), lookback_days=5) == date(2026, 3, 7)
    assert settled_on(date(2026, 3, 1), lookback_days=0) == date(2026, 3, 2)


def plan(newest: date, synced_through: date | None, read_on: dict[date, date]) -> list[date]:
    """The days of a sync with two days of grace."""
    return days_to_sync(
        anchor=START,
        newest=newest,
        synced_through=synced_through,
        read_on=read_on,
        lookback_days=2,
    )


def test_first_sync_starts_at_the_anchor() -> None:
    """Nothing loaded yet: all days from the anchor on, and none if it lies in the future."""
    assert plan(START + DAY * 2, None, {}) == [START, START + DAY, START + DAY * 2]
    assert plan(START - DAY, None, {}) == []


def test_nightly_sync_reads_the_lookback_again() -> None:
    """Run every night, a sync reads the day that is new and the two that are not final."""
    day = START + DAY * 10
    read_on = {START + DAY * number: day for number in range(10)}

    assert plan(day, day - DAY, read_on) == [day, day - DAY * 2, day - DAY]


def test_days_read_longest_ago_come_first() -> None:
    """Where the quota is short, days that were read yesterday go before those read today."""
    day = START + DAY * 10
    read_on = {day - DAY * 2: day + DAY, day - DAY: day, day: day + DAY}

    assert plan(day, day, read_on) == [day - DAY, day]
    assert plan(day, day, {**read_on, day - DAY: day + DAY}) == [day - DAY, day]
    assert plan(day, day, {**read_on, day: day}) == [day - DAY, day]
    assert plan(day, day, {**read_on, day: day - DAY}) == [day, day - DAY]


def test_days_that_are_not_final_are_kept_in_mind() -> None:
    """A day that an interrupted sync left behind is read again, however many came after it."""
    synced = START + DAY * 20
    read_on = {START + DAY * number: synced + DAY for number in range(3, 21)}
    too_early = START + DAY * 5
    read_on[too_early] = too_early + DAY * 2

    days = plan(synced + DAY * 2, synced, read_on)
    assert days == [synced + DAY, synced + DAY * 2, too_early, synced - DAY, synced]
    assert too_early not in days_to_sync(
        anchor=too_early + DAY,
        newest=synced,
        synced_through=synced,
        read_on=read_on,
        lookback_days=2,
    )


def test_days_about_to_be_forgotten_go_first() -> None:
    """After years without a sync, what was not final then is read before what is new."""
    synced = START + DAY * 10
    read_on = {synced - DAY * 2: synced + DAY, synced - DAY: synced, synced: synced + DAY}
    newest = synced + DAY * (LOOKBACK_DAYS_MAX + 1)
    new = [*iter_days(synced + DAY, newest)]

    assert plan(newest - DAY * 2, synced, read_on) == [*new[:-2], synced - DAY, synced]
    assert plan(newest - DAY, synced, read_on) == [synced - DAY, *new[:-1], synced]
    assert plan(newest, synced, read_on) == [synced - DAY, synced, *new]


def test_anchor_moved_forward() -> None:
    """No day before the anchor is fetched, not even to go on where the last sync stopped."""
    assert plan(START + DAY, START - DAY * 9, {}) == [START, START + DAY]
    assert plan(START, START, {}) == [START]


def test_days_read_at_an_unknown_time_are_read_again() -> None:
    """A day of the lookback that the ledger does not know counts as read too early."""
    synced = START + DAY * 10
    assert plan(synced, synced, {}) == [synced - DAY * 2, synced - DAY, synced]


class Run(NamedTuple):
    """A sync, some time after the one before."""

    after: timedelta
    include_today: bool
    stops_after: int
    """Days it reads before it is interrupted, if it is not done sooner."""


runs = st.builds(
    Run,
    after=st.one_of(
        st.timedeltas(timedelta(0), timedelta(hours=40)),
        st.timedeltas(timedelta(0), timedelta(days=20)),
    ),
    include_today=st.booleans(),
    stops_after=st.one_of(st.integers(0, 6), st.just(1_000)),
)


@given(
    history=st.lists(runs, min_size=1, max_size=25),
    lookback_days=st.integers(0, 7),
    zone=st.sampled_from(("UTC", "US/Pacific", "Asia/Tokyo")),
)
def test_every_day_is_read_once_it_has_settled(
    history: list[Run], lookback_days: int, zone: str
) -> None:
    """However syncs are spaced and interrupted, each reads what is new and what was not final.

    The model knows every read there was; `days_to_sync` knows only a cursor and looks back a few
    days, and must come to the same.
    """
    now = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)
    read_on: dict[date, date] = {}
    a_last_one = Run(timedelta(days=lookback_days + 2), include_today=False, stops_after=1_000)
    for run in (*history, a_last_one):
        now += run.after
        newest = newest_day(now, zone=zone, include_today=run.include_today)
        days = days_to_sync(
            anchor=START,
            newest=newest,
            synced_through=max(read_on, default=None),
            read_on=read_on,
            lookback_days=lookback_days,
        )
        new = [day for day in iter_days(START, newest) if day not in read_on]
        again = [
            day
            for day in read_on
            if day <= newest and read_on[day] < settled_on(day, lookback_days=lookback_days)
        ]
        assert sorted(days) == sorted([*new, *again])
        if min(again, default=newest) >= newest - DAY * LOOKBACK_DAYS_MAX:
            assert days[: len(new)] == new
        read_on.update(dict.fromkeys(days[: run.stops_after], now.date()))
    settled = [day for day in read_on if day <= now.date() - DAY * (lookback_days + 1)]
    assert settled == [*iter_days(START, max(settled))]
    assert all(read_on[day] >= settled_on(day, lookback_days=lookback_days) for day in settled)


@given(lookback_days=st.integers(0, 40), catch_up_days=st.integers(1, 60), age=st.integers(0, 60))
def test_catch_up_begins_where_the_look_back_ends(
    lookback_days: int, catch_up_days: int, age: int
) -> None:
    """Each day since the anchor is either read again by syncs or looked through, none by both."""
    yesterday, anchor = START + DAY * 60, START + DAY * (60 - age)
    wanted = days_to_search(
        anchor=anchor,
        yesterday=yesterday,
        catch_up_days=catch_up_days,
        lookback_days=lookback_days,
    )
    today = yesterday + DAY
    settled = [
        day
        for day in iter_days(anchor, yesterday)
        if settled_on(day, lookback_days=lookback_days) <= today
    ]
    assert [*wanted.days] == [day for day in settled if day >= yesterday - DAY * catch_up_days]
