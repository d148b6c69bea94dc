"""The events of a project as reports see them: each once, at its time in the project's zone."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from ..context import World

LAST_DAYS = 31
"""The days that questions without dates are about.

Source: https://developer.mixpanel.com/reference/query-months-top-event-names
"""

# more would be seconds after the year 5138
_MILLISECONDS_FROM = 10**11


@dataclass(frozen=True)
class Event:
    """One event that happened."""

    name: str
    person: str
    """Its distinct id."""
    time_s: float
    """Epoch seconds."""
    local: datetime
    """The same in the zone of the project."""
    properties: dict[str, Any]


def read_events(
    world: World, first: date, last: date, *, names: Collection[str] | None = None
) -> list[Event]:
    """Return the events of some days in the order of their time.

    What shares event, distinct id, time and `$insert_id` is returned once, though the export
    serves it as often as it came. Events without a time are in no report.

    Args:
        world: Where they happened.
        first: First day, in the zone of the project.
        last: Last day, included.
        names: Only these events; None, all of them.
    """
    zone = ZoneInfo(world.project.timezone)
    seen: set[tuple[object, ...]] = set()
    events = []
    for line in _read_lines(world, first, last):
        event = _parse(line, zone)
        if event is None or not first <= event.local.date() <= last:
            continue
        if (names is None or event.name in names) and not _is_repeated(event, seen):
            events.append(event)
    return sorted(events, key=lambda event: event.time_s)


def last_days(world: World) -> tuple[date, date]:
    """Return the first and the last of the days that questions without dates are about."""
    today = world.today()
    return today - timedelta(days=LAST_DAYS - 1), today


def _read_lines(world: World, first: date, last: date) -> Iterator[bytes]:
    # no zone is more than a day away from UTC, by whose days events are filed
    for number in range(-1, (last - first).days + 2):
        yield from list(world.project.events.get(first + timedelta(days=number), ()))


def _parse(line: bytes, zone: ZoneInfo) -> Event | None:
    try:
        found = json.loads(line)
        properties = found["properties"]
        time_s = _read_time(properties["time"])
        local = datetime.fromtimestamp(time_s, zone)
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
    return Event(
        str(found.get("event", "")),
        str(properties.get("distinct_id", "")),
        time_s,
        local,
        properties,
    )


def _read_time(time: str | float) -> float:
    if isinstance(time, str):
        parsed = datetime.fromisoformat(time.replace("Z", "+00:00"))
        utc = parsed.replace(tzinfo=parsed.tzinfo or timezone.utc)
        return utc.timestamp()
    return float(time) / 1000 if time >= _MILLISECONDS_FROM else float(time)


def _is_repeated(event: Event, seen: set[tuple[object, ...]]) -> bool:
    inserted = event.properties.get("$insert_id")
    if inserted is None:
        return False
    key = event.name, event.person, event.time_s, str(inserted)
    if key in seen:
        return True
    seen.add(key)
    return False
