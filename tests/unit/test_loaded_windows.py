"""Which rows a window replaces, where events are filed under other days than that of their time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_source.decode.event_time import REACH_DAYS
from mixpanel_source.tables.events.loaded_windows import LoadedWindows, border_days
from mixpanel_source.windows import Window

START = date(2026, 3, 1)
DAYS = 14


class Event(NamedTuple):
    """An event of a made-up project."""

    number: int
    filed: int
    """Day that Mixpanel files it under, counted from `START`."""
    own: int | None
    """Day of its time."""


class Copy:
    """A table that windows are loaded into, with the state that goes with it."""

    def __init__(self, project: Iterable[Event]) -> None:
        self.project = {*project}
        self.table: dict[Event, set[int]] = {}
        """Event -> the days it is stored under."""
        self.state: dict[str, Any] = {}
        self.reads = 0

    def load(self, first: int, last: int) -> None:
        """Load a window, and what has to be loaded with it."""
        loaded = LoadedWindows(self.state)
        window = Window(day(first), day(last))
        served = self._served(first, last)

        def lost_rows(days: Sequence[date]) -> bool:
            return any(
                event not in served and stored & {(at - START).days for at in days}
                for event, stored in self.table.items()
            )

        strays = has_strays(served, first, last)
        rests = loaded.rests_to_read(window, has_strays=strays, lost_rows=lost_rows)
        unit = [window, *rests]
        spans = [((part.first - START).days, (part.last - START).days) for part in unit]
        rows = [(self._served(*span), span) for span in spans]
        for start, end in spans:
            self._delete(start, end)
        for events, (start, end) in rows:
            self.reads += 1
            for event in events:
                own = start if event.own is None else event.own
                self.table.setdefault(event, set()).add(min(max(own, start), end))
        for part, (events, span) in zip(unit, rows, strict=True):
            loaded.record(part, has_strays=has_strays(events, *span))
        self.state = json.loads(json.dumps(self.state))

    def _served(self, first: int, last: int) -> set[Event]:
        return {event for event in self.project if first <= event.filed <= last}

    def _delete(self, first: int, last: int) -> None:
        for event, stored in [*self.table.items()]:
            stored.difference_update(range(first, last + 1))
            if not stored:
                del self.table[event]


def has_strays(events: Iterable[Event], first: int, last: int) -> bool:
    """Whether the own day of an event is outside the window it came with."""
    return any(event.own is None or not first <= event.own <= last for event in events)


def day(number: int) -> date:
    """A day by its number."""
    return START + timedelta(days=number)


windows = st.tuples(st.integers(0, DAYS - 1), st.integers(0, 6)).map(
    lambda given: (given[0], min(given[0] + given[1], DAYS - 1))
)
events = st.builds(
    lambda filed, shift: (filed, None if shift is None else filed + shift),
    st.integers(0, DAYS - 1),
    st.none() | st.integers(-REACH_DAYS, REACH_DAYS),
)


@settings(max_examples=300)
@given(
    st.lists(events, max_size=8),
    st.lists(st.tuples(windows, st.lists(events, max_size=2)), min_size=1, max_size=8),
)
def test_any_windows_are_exact(
    given_events: list[tuple[int, int | None]],
    steps: list[tuple[tuple[int, int], list[tuple[int, int | None]]]],
) -> None:
    """Each event is there once if its day was read since it came, whatever windows were read."""
    copy = Copy(Event(number, *event) for number, event in enumerate(given_events))
    read: set[Event] = set()
    for (first, last), late in steps:
        copy.load(first, last)
        read |= {event for event in copy.project if first <= event.filed <= last}
        number = max((event.number for event in copy.project), default=0)
        assert Counter({event: len(stored) for event, stored in copy.table.items()}) >= Counter(
            dict.fromkeys(read, 1)
        )
        assert all(len(stored) == 1 for stored in copy.table.values())
        copy.project |= {Event(number + n, *event) for n, event in enumerate(late, 1)}


@settings(max_examples=200)
@given(st.lists(events, min_size=1, max_size=8), st.lists(windows, min_size=1, max_size=6))
def test_deletions_are_exact(
    given_events: list[tuple[int, int | None]], steps: list[tuple[int, int]]
) -> None:
    """A deleted event goes once all days that may have held it are read again."""
    copy = Copy(Event(number, *event) for number, event in enumerate(given_events))
    for step in steps:
        copy.load(*step)
    copy.project.pop()
    copy.load(0, DAYS - 1)
    assert copy.table.keys() == copy.project


ZONES = (
    "Etc/GMT+12",
    "America/St_Johns",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
)


@pytest.mark.parametrize("first", [date(2026, 3, 5), date(2026, 9, 24), date(2026, 10, 29)])
@pytest.mark.parametrize("before", ZONES)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_day_borders_of_zones(zone: str, before: str, first: date) -> None:
    """Days of one zone, with times of the clock in another: each event is there once."""
    project: set[Event] = set()
    for number in range(DAYS):
        midnight = datetime.combine(first + timedelta(days=number), time(), ZoneInfo(zone))
        start = midnight.astimezone(timezone.utc)
        end = (midnight + timedelta(days=1)).astimezone(timezone.utc) - timedelta(seconds=1)
        for instant in (start, start + (end - start) / 2, end):
            own = (instant.astimezone(ZoneInfo(before)).date() - first).days
            assert abs(own - number) <= REACH_DAYS
            project.add(Event(len(project), number, own))
    copy = Copy(project)
    for window in ((0, 6), (7, 13), (3, 9), (5, 5), (9, 11), (0, 1), (1, 12)):
        copy.load(*window)
        assert all(len(stored) == 1 for stored in copy.table.values())
    assert copy.table.keys() == project


def test_usual_events_take_no_further_requests() -> None:
    """Where events are filed under the day of their time, each window is read alone."""
    copy = Copy(Event(number, number % DAYS, number % DAYS) for number in range(40))
    for first, last in ((0, 6), (7, 13), (3, 9), (5, 5), (0, 13), (9, 11)):
        copy.load(first, last)
    assert copy.reads == 6


def test_border_days() -> None:
    """Rows of the rest may be stored up to `REACH_DAYS` inside the window, on the cut side only."""
    week = Window(day(0), day(6))
    assert border_days(week, Window(day(3), day(9))) == [day(3), day(4)]
    assert border_days(week, Window(day(2), day(5))) == [day(2), day(3), day(4), day(5)]
    assert border_days(week, Window(day(0), day(1))) == [day(0), day(1)]
    assert border_days(week, Window(day(6), day(8))) == [day(6)]


def test_whole_windows() -> None:
    """Days that were read together are found by any of them."""
    loaded = LoadedWindows({})
    loaded.record(Window(day(0), day(3)), has_strays=False)
    loaded.record(Window(day(4), day(4)), has_strays=True)
    assert loaded.with_whole_windows([day(4), day(2)]) == [day(number) for number in range(5)]
    loaded.record(Window(day(2), day(2)), has_strays=False)
    assert loaded.with_whole_windows([day(1), day(3)]) == [day(0), day(1), day(3)]
