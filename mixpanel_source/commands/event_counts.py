"""Two counts of the same events: the loaded rows, and the numbers of Mixpanel's reports.

Pure: which days can be compared, and how the counts differ.
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
"""Number of settled days, the newest, that are compared by default."""
NAMES_BYTES = 6_000
"""Maximum bytes of names in a URL; servers accept about eight thousand bytes in all."""

Counts = Mapping[tuple[date, str], int]
"""Day and name of an event -> count."""


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
    """Whether they differ by at most the tolerance."""

    @property
    def difference(self) -> int:
        """Loaded minus counted."""
        return self.loaded - self.counted


class Calendar(NamedTuple):
    """The days by which Mixpanel counts, and those by which it exports."""

    zone: str
    """IANA name of the zone of the counted days."""
    same_for_export: bool
    """Whether the export files events under the same days."""

    def bounds(self, day: date) -> tuple[datetime, datetime]:
        """When a day begins and ends, in UTC."""
        zone = ZoneInfo(self.zone)
        starts = (datetime(d.year, d.month, d.day, tzinfo=zone) for d in (day, day + DAY))
        first, end = (start.astimezone(timezone.utc) for start in starts)
        return first, end

    def export_days(self, day: date) -> Iterator[date]:
        """The days under which the export files the events of a counted day."""
        if self.same_for_export:
            return iter([day])
        first, end = self.bounds(day)
        return iter_days(first.date(), (end - datetime.resolution).date())


def days_to_compare(
    loaded: Collection[date], calendar: Calendar, *, settled: date, wanted: Window | None
) -> list[date]:
    """The days that are completely loaded, ascending: of `wanted`, or the newest settled days.

    Args:
        loaded: the loaded days, as the export files events.
        calendar: of the project.
        settled: the newest day that no sync reads again.
        wanted: the days to choose from; the newest `DAYS` settled days if None.

    Raises:
        ConfigError: there are none.
    """
    first, last = wanted or Window(min(loaded, default=settled), settled)
    days = [
        day
        for day in iter_days(first, last)
        if all(part in loaded for part in calendar.export_days(day))
    ]
    if not days:
        raise ConfigError(
            f"No day of {first}..{last} is completely loaded, so there is nothing to compare: sync "
            "first, or choose another range."
        )
    return days if wanted else days[-DAYS:]


def compare(
    loaded: Counts, counted: Counts, days: Collection[date], *, tolerance: float
) -> list[Comparison]:
    """Both counts, by day and name.

    Args:
        loaded: rows in the destination.
        counted: events in Mixpanel's report.
        days: to compare.
        tolerance: allowed difference as a share of Mixpanel's count.
    """
    comparisons = []
    for key in sorted(key for key in {*loaded, *counted} if key[0] in days):
        ours, theirs = loaded.get(key, 0), counted.get(key, 0)
        if ours or theirs:
            within = abs(ours - theirs) <= tolerance * theirs
            comparisons.append(Comparison(*key, ours, theirs, within))
    return comparisons


def group_names(names: Iterable[str]) -> Iterator[list[str]]:
    """Yields the names in groups, each short enough for the URL of a request."""
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
