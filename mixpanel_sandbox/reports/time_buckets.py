"""Time buckets of reports, named by their local start time."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TypeVar

_Any = TypeVar("_Any")

UNITS = ("minute", "hour", "day", "week", "month")
LONG_UNITS = ("day", "week", "month")

_STEPS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}


@dataclass(frozen=True)
class TimeBuckets:
    """The buckets that cover a date range; their times are naive local times.

    Weeks start on Monday. The first week or month may start before the first day.
    """

    first: date
    last: date
    unit: str
    interval: int = 1
    """Days per bucket if the unit is day; all other units must have 1."""

    def start_of(self, local_time: datetime) -> datetime:
        """Return the start of the bucket that contains a moment."""
        moment = local_time.replace(tzinfo=None)
        if self.unit == "minute":
            return moment.replace(second=0, microsecond=0)
        if self.unit == "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        day = moment.date()
        if self.unit == "month":
            return _midnight(day.replace(day=1))
        if self.unit == "week":
            return _midnight(day - timedelta(days=day.weekday()))
        return _midnight(day - timedelta(days=(day - self.first).days % self.interval))

    def key_of(self, local_time: datetime) -> str:
        """Return the name of the bucket that contains a moment."""
        return self.name(self.start_of(local_time))

    def starts(self) -> list[datetime]:
        """Return the starts of all buckets in order."""
        start = self.start_of(_midnight(self.first))
        starts = []
        while start.date() <= self.last:
            starts.append(start)
            start = self.next_start(start)
        return starts

    def names(self) -> list[str]:
        """Return the names of all buckets in order."""
        return [self.name(start) for start in self.starts()]

    def name(self, start: datetime) -> str:
        """Return the name of a bucket: its date, with the time for minutes and hours."""
        return f"{start:%Y-%m-%d}" if self.unit in LONG_UNITS else f"{start:%Y-%m-%d %H:%M:%S}"

    def next_start(self, start: datetime) -> datetime:
        """Return the start of the following bucket."""
        if self.unit == "month":
            return (start + timedelta(days=31)).replace(day=1)
        return start + _STEPS[self.unit] * self.interval


def shuffle(values: Iterable[str]) -> list[str]:
    """Return strings in an arbitrary but repeatable order.

    The keys of Mixpanel's responses are unordered, and clients must not rely on an order.
    """
    return sorted(values, key=lambda text: zlib.crc32(text.encode("utf-8", "surrogatepass")))


def shuffle_keys(values: Mapping[str, _Any]) -> dict[str, _Any]:
    """Return a mapping with its keys in an arbitrary but repeatable order."""
    return {key: values[key] for key in shuffle(values)}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
