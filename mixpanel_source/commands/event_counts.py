"""Two counts of the same events side by side: what is loaded, and what Mixpanel's reports say.

Pure: which days can be compared at all, and what is made of the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import NamedTuple
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

from ..errors import ConfigError
from ..windows import DAY, Window, iter_days

DAYS = 30
"""How many of the newest settled days are compared unless others are named."""
NAMES_BYTES = 6_000
"""Most bytes of names in an address; servers take about eight thousand in all."""

Counts = Mapping[tuple[date, str], int]
"""Day and name of an event -> how many."""


@dataclass(frozen=True)
class Comparison:
    """One event on one day."""

    day: date
    """In the project's time zone."""
    event: str
    loaded: int
    """Rows in the destination."""
    counted: int
    """Events in Mixpanel's report."""
    within: bool
    """Whether they differ by no more than the tolerance."""

    @property
    def difference(self) -> int:
        """How many more are loaded than counted."""
        return self.loaded - self.counted


class Calendar(NamedTuple):
    """Which days Mixpanel counts by, and which it exports by."""

    zone: str
    """IANA name of the zone whose days are counted."""
    filed: bool
    """Whether the export files events under the same days."""

    def bounds(self, day: date) -> tuple[datetime, datetime]:
        """When a day begins and ends, in UTC."""
        zone = ZoneInfo(self.zone)
        starts = (datetime(d.year, d.month, d.day, tzinfo=zone) for d in (day, day + DAY))
        first, end = (start.astimezone(timezone.utc) for start in starts)
        return first, end

    def filed_under(self, day: date) -> Iterator[date]:
        """The days under which the export files the events of a day."""
        if self.filed:
            return iter([day])
        first, end = self.bounds(day)
        return iter_days(first.date(), (end - datetime.resolution).date())


def days_to_compare(
    loaded: Collection[date], calendar: Calendar, *, settled: date, wanted: Window | None
) -> list[date]:
    """The days that are loaded whole, ascending: those of `wanted`, or the last settled ones.

    Args:
        loaded: the days that were loaded, as the export files events.
        calendar: what a day is to those who count.
        settled: the newest day that no sync reads again.
        wanted: the days to choose from; the last `DAYS` settled ones if None.

    Raises:
        ConfigError: there are none.
    """
    first, last = wanted or Window(min(loaded, default=settled), settled)
    days = [
        day
        for day in iter_days(first, last)
        if all(part in loaded for part in calendar.filed_under(day))
    ]
    if not days:
        raise ConfigError(
            f"No day of {first}..{last} is loaded whole, so there is nothing to compare: sync "
            "first, or choose another range."
        )
    return days if wanted else days[-DAYS:]


def compare(
    loaded: Counts, counted: Counts, days: Collection[date], *, tolerance: float
) -> list[Comparison]:
    """Both counts side by side, by day and name.

    Args:
        loaded: rows in the destination.
        counted: events in Mixpanel's report.
        days: those to compare.
        tolerance: as a share of what is counted.
    """
    comparisons = []
    for key in sorted(key for key in {*loaded, *counted} if key[0] in days):
        ours, theirs = loaded.get(key, 0), counted.get(key, 0)
        if ours or theirs:
            within = abs(ours - theirs) <= tolerance * theirs
            comparisons.append(Comparison(*key, ours, theirs, within))
    return comparisons


def group_names(names: Iterable[str]) -> Iterator[list[str]]:
    """Yields the names in groups, each short enough for the address of a request."""
    group: list[str] = []
    room = NAMES_BYTES
    for name in names:
        size = len(quote_plus(json.dumps([name], ensure_ascii=False)))
        if group and size > room:
            yield group
            group, room = [], NAMES_BYTES
        group.append(name)
        room -= size
    if group:
        yield group
