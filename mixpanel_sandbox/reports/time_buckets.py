"""The buckets of a report: stretches of local time, each named by its start."""

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
class Buckets:
    """The buckets that some days fall into.

    Weeks start on Monday; the first week and the first month may start before the first day.
    """

    first: date
    last: date
    unit: str
    interval: int = 1
    """Days in a bucket; other units have one of them in each."""

    def start_of(self, local: datetime) -> datetime:
        """Return the start of the bucket a moment is in, as wall-clock time."""
        moment = local.replace(tzinfo=None)
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

    def key_of(self, local: datetime) -> str:
        """Return the name of the bucket a moment is in."""
        return self.name(self.start_of(local))

    def starts(self) -> list[datetime]:
        """Return the starts of all buckets in their order, as wall-clock times."""
        start = self.start_of(_midnight(self.first))
        starts = []
        while start.date() <= self.last:
            starts.append(start)
            start = self.next_start(start)
        return starts

    def names(self) -> list[str]:
        """Return the names of all buckets in their order."""
        return [self.name(start) for start in self.starts()]

    def name(self, start: datetime) -> str:
        """Return the name of the bucket with this start: a date, with the time if it is short."""
        return f"{start:%Y-%m-%d}" if self.unit in LONG_UNITS else f"{start:%Y-%m-%d %H:%M:%S}"

    def next_start(self, start: datetime) -> datetime:
        """Return the start of the bucket after the one with this start."""
        if self.unit == "month":
            return (start + timedelta(days=31)).replace(day=1)
        return start + _STEPS[self.unit] * self.interval


def scramble(values: Iterable[str]) -> list[str]:
    """Return texts in an order that means nothing, and is the same each time.

    The keys of Mixpanel's replies are in no order: a client must not lean on one.
    """
    return sorted(values, key=lambda text: zlib.crc32(text.encode("utf-8", "surrogatepass")))


def scramble_keys(values: Mapping[str, _Any]) -> dict[str, _Any]:
    """Return an object with its keys in an order that means nothing."""
    return {key: values[key] for key in scramble(values)}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
