"""How many days a request covers, when it is left to the answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.constants import AUTO_WINDOW_BYTES, AUTO_WINDOW_DAYS_MAX
from mixpanel_source.windows import DAY, Window, WindowSizer, iter_days

START = date(2024, 2, 20)
YEAR = [*iter_days(START, START + DAY * 364)]
SMALL = 1024 * 1024
"""Bytes of a day, of which the most that may go into one request fit into an answer."""

days_with_gaps = st.lists(st.booleans(), max_size=200).map(
    lambda wanted: [START + DAY * number for number, is_wanted in enumerate(wanted) if is_wanted]
)
sizes = st.integers(0, 3 * AUTO_WINDOW_BYTES) | st.sampled_from((0, SMALL, AUTO_WINDOW_BYTES))


def read(
    days: Sequence[date], size_of: Callable[[date], int], sizer: WindowSizer | None = None
) -> list[Window]:
    """The windows in which `days` are read."""
    sizer = sizer or WindowSizer(None)
    waiting = deque(days)
    windows = []
    while waiting:
        windows.append(sizer.take(waiting))
        sizer.note(windows[-1], sum(size_of(day) for day in windows[-1].days))
    return windows


def lengths(windows: Sequence[Window]) -> list[int]:
    """The number of days of each."""
    return [window.length_days for window in windows]


@given(days=days_with_gaps, data=st.data())
def test_every_day_is_taken_once(days: list[date], data: st.DataObject) -> None:
    """Whatever the answers, the windows hold the days, in order, no other, and never too many."""
    sizer = WindowSizer(None)
    waiting = deque(days)
    taken: list[date] = []
    while waiting:
        window = sizer.take(waiting)
        assert window.length_days <= AUTO_WINDOW_DAYS_MAX
        taken += window.days
        if data.draw(st.booleans()):
            sizer.note(window, data.draw(sizes))
        else:
            sizer.note_failure(window)
    assert taken == days


@given(days=days_with_gaps, window_days=st.integers(1, 40), data=st.data())
def test_fixed_number_stays(days: list[date], window_days: int, data: st.DataObject) -> None:
    """A number that was set is kept to, whatever the answers and failures."""
    sizer = WindowSizer(window_days)
    waiting = deque(days)
    windows = []
    while waiting:
        windows.append(sizer.take(waiting))
        sizer.note(windows[-1], data.draw(sizes))
        sizer.note_failure(windows[-1])
    assert [day for window in windows for day in window.days] == days
    for window, following in pairwise(windows):
        assert window.length_days == window_days or following.first > window.last + DAY


@pytest.mark.parametrize("size", [0, SMALL // 100, SMALL])
def test_quiet_year_takes_few_requests(size: int) -> None:
    """A year of small days, or of empty ones, takes 16 requests."""
    assert lengths(read(YEAR, lambda _: size)) == [1, 2, 4, 8, 16, *[31] * 10, 24]


@pytest.mark.parametrize("size", [AUTO_WINDOW_BYTES * 3 // 4, AUTO_WINDOW_BYTES * 3])
def test_busy_days_go_one_by_one(size: int) -> None:
    """Two days that would not fit into an answer are never asked for together."""
    assert lengths(read(YEAR, lambda _: size)) == [1] * 365


@given(size=st.integers(1, AUTO_WINDOW_BYTES))
def test_answers_of_even_days_fit(size: int) -> None:
    """Where all days are alike no answer is too big, and there are hardly more than need be."""
    windows = read(YEAR, lambda _: size)
    fitting = min(AUTO_WINDOW_BYTES // size, AUTO_WINDOW_DAYS_MAX)
    assert max(lengths(windows)) <= fitting
    assert len(windows) <= -(-len(YEAR) // fitting) + 5


def test_day_that_is_suddenly_big_narrows() -> None:
    """After an answer that is too big half the days are asked for, or fewer, as its bytes tell."""
    big = START + DAY * 20
    windows = read(YEAR, lambda day: 2 * AUTO_WINDOW_BYTES if day == big else SMALL)
    assert lengths(windows)[:6] == [1, 2, 4, 8, 16, 6]
    assert len(windows) < 40


def test_big_day_after_quiet_ones_is_waited_out() -> None:
    """One quiet day among big ones does not make the next window wide."""
    windows = read(YEAR, lambda day: SMALL if day.day == 15 else AUTO_WINDOW_BYTES)
    assert set(lengths(windows)) == {1}


def test_failure_narrows_and_it_widens_again_by_a_day() -> None:
    """After a failure half the days are asked for, then a day more each time, up to the most."""
    sizer = WindowSizer(None)
    read(YEAR[:31], lambda _: 0, sizer)
    failed = sizer.take(deque(YEAR))
    assert failed.length_days == 31
    sizer.note_failure(failed)
    assert lengths(read(YEAR, lambda _: 0, sizer))[:4] == [15, 16, 17, 18]
    assert max(lengths(read(YEAR, lambda _: 0, sizer))) == 31


@given(window_days=st.integers(1, AUTO_WINDOW_DAYS_MAX), size=sizes)
def test_failure_halves(window_days: int, size: int) -> None:
    """What is asked for next is at most half of what failed, and at least a day."""
    sizer = WindowSizer(None)
    window = Window(START, START + DAY * (window_days - 1))
    sizer.note(window, size)
    sizer.note_failure(window)
    assert 1 <= sizer.days <= max(1, window_days // 2)


def test_gap_in_the_days_does_not_narrow() -> None:
    """A window cut short by days that are not wanted neither narrows nor widens the next."""
    sizer = WindowSizer(None)
    read(YEAR[:7], lambda _: 0, sizer)
    alone = sizer.take(deque([YEAR[0], YEAR[2]]))
    assert alone == Window(YEAR[0], YEAR[0])
    sizer.note(alone, 0)
    assert sizer.days == 8
