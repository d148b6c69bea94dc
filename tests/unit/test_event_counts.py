"""Which days can be compared with Mixpanel's counts, and what is made of the numbers."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.commands.event_counts import (
    DAYS,
    NAMES_BYTES,
    Calendar,
    compare,
    days_to_compare,
    group_names,
)
from mixpanel_source.errors import ConfigError
from mixpanel_source.windows import DAY, Window, iter_days

UTC = Calendar("UTC", same_for_export=True)
FIRST, LAST = date(2026, 10, 1), date(2026, 11, 20)
LOADED = {*iter_days(FIRST, LAST)}
SETTLED = date(2026, 11, 15)


def export_days(zone: str, day: date) -> list[str]:
    """The days, in UTC, that hold the events of a day in a zone."""
    return [str(part) for part in Calendar(zone, same_for_export=False).export_days(day)]


def test_day_in_a_zone_is_part_of_two() -> None:
    """East of Greenwich it begins the day before, west of it it ends the day after."""
    day = date(2026, 11, 3)
    assert export_days("Asia/Tokyo", day) == ["2026-11-02", "2026-11-03"]
    assert export_days("US/Pacific", day) == ["2026-11-03", "2026-11-04"]
    assert export_days("Etc/UTC", day) == ["2026-11-03"]
    assert [*Calendar("Asia/Tokyo", same_for_export=True).export_days(day)] == [day]


def test_day_the_clocks_change_has_another_length() -> None:
    """Its bounds are the instants at which it is midnight there."""
    first, end = Calendar("Europe/Berlin", same_for_export=False).bounds(date(2026, 10, 25))
    assert first == datetime(2026, 10, 24, 22, tzinfo=timezone.utc)
    assert end == datetime(2026, 10, 25, 23, tzinfo=timezone.utc)


def test_newest_settled_days_are_compared() -> None:
    """Without a range these are the last thirty that no sync reads again."""
    days = days_to_compare(LOADED, UTC, settled=SETTLED, wanted=None)
    assert days == [*iter_days(SETTLED - DAY * (DAYS - 1), SETTLED)]


def test_only_days_that_are_loaded_whole() -> None:
    """In a range those that are loaded, and in another zone their neighbours too."""
    loaded = LOADED - {date(2026, 10, 4)}
    wanted = Window(FIRST - DAY, FIRST + DAY * 5)
    days = {
        zone: [day.day for day in days_to_compare(loaded, calendar, settled=SETTLED, wanted=wanted)]
        for zone, calendar in {
            "UTC": UTC,
            "east": Calendar("Asia/Tokyo", same_for_export=False),
            "west": Calendar("US/Pacific", same_for_export=False),
        }.items()
    }
    assert days == {"UTC": [1, 2, 3, 5, 6], "east": [2, 3, 6], "west": [1, 2, 5, 6]}


@pytest.mark.parametrize("loaded", [set(), {LAST}])
def test_nothing_to_compare(loaded: set[date]) -> None:
    """Where no day is loaded, or none is settled, there is nothing to say."""
    with pytest.raises(ConfigError, match=r"No day of .* is completely loaded.*sync first"):
        days_to_compare(loaded, UTC, settled=SETTLED, wanted=None)


@pytest.mark.parametrize(
    ("loaded", "counted", "tolerance", "within"),
    [
        (100, 100, 0, True),
        (101, 100, 0.01, True),
        (99, 100, 0.01, True),
        (102, 100, 0.01, False),
        (0, 1, 0.5, False),
        (1, 0, 1, False),
        (0, 9, 1, True),
    ],
)
def test_tolerance(loaded: int, counted: int, tolerance: float, within: bool) -> None:
    """A count may differ by a share of Mixpanel's; what Mixpanel does not have never fits."""
    key = (LAST, "Order")
    (one,) = compare({key: loaded}, {key: counted}, {LAST}, tolerance=tolerance)
    assert (one.difference, one.within) == (loaded - counted, within)


def test_each_side_alone() -> None:
    """What only one side has is there, what neither has is not, nor are other days."""
    loaded = {(LAST, "A"): 1, (LAST, "B"): 0, (FIRST, "A"): 5}
    counted = {(LAST, "B"): 0, (LAST, "C"): 2, (FIRST, "C"): 5}
    compared = compare(loaded, counted, {LAST}, tolerance=0)
    assert [(one.event, one.loaded, one.counted) for one in compared] == [("A", 1, 0), ("C", 0, 2)]


@given(names=st.lists(st.text(st.characters(codec="utf-8"), max_size=400), max_size=60))
def test_names_fit_into_addresses(names: list[str]) -> None:
    """Each name is in one group, in order, and no group is too long unless it is a single name."""
    groups = [*group_names(names)]
    assert [name for group in groups for name in group] == names
    for group in groups:
        size = len(quote_plus(json.dumps(group, ensure_ascii=False)))
        assert len(group) == 1 or size <= NAMES_BYTES
