"""A report's request and its rows, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from ...windows import Window


class ReportQuery(NamedTuple):
    """What is needed of the request to read the reply."""

    table: str
    params: Mapping[str, str]
    today: date
    """In the project's zone; the day of rows that name none."""
    zone: str = "UTC"
    """IANA name of the zone of times in the reply."""
    window: Window | None = None
    """The requested days; None if the request names none."""


class Measure(NamedTuple):
    """A number of a report."""

    date: date
    """The day on which the bucket starts."""
    bucket: str
    """The bucket as the reply names it."""
    segment: str
    """The value of the breakdown, or what was measured; JSON text of a list for several levels."""
    step: int
    metric: str
    label: str | None
    """The event of a funnel step."""
    value: float | None


class Name(NamedTuple):
    """A name in a list of names."""

    position: int
    """From 1."""
    name: str


class Activity(NamedTuple):
    """An event in the activity feed of a user."""

    date: date
    """The day of `time`, as Mixpanel sends it."""
    position: int
    """Position among the events of the day, from 1."""
    time: datetime | None
    event: str
    distinct_id: str | None
    properties: str
    """JSON text."""


class Item(NamedTuple):
    """An element of the output of a script."""

    position: int
    """From 1."""
    row: str
    """JSON text."""


Rows = Sequence[Measure | Name | Activity | Item]
