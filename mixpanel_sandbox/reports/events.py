"""The events of a project as reports see them: deduplicated, with local times."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from ..context import Context
from ..endpoints.params import parse_where
from ..messages import Request

DEFAULT_DAYS = 31
"""Days covered by queries without dates.

Source: https://developer.mixpanel.com/reference/query-months-top-event-names
"""

# larger times are milliseconds: as seconds they would be after the year 5138
_MIN_MILLISECONDS = 10**11


@dataclass(frozen=True)
class Event:
    """An event as reports count it."""

    name: str
    distinct_id: str
    time_s: float
    """Epoch seconds."""
    local_time: datetime
    """The same moment in the project timezone."""
    properties: dict[str, Any]


def read_events(
    context: Context, first: date, last: date, *, names: Collection[str] | None = None
) -> list[Event]:
    """Return the events of a date range, ordered by time.

    Events with the same name, distinct id, time and `$insert_id` are deduplicated, which the export
    does not do. Events without a valid time are in no report.

    Args:
        context: Provides the project.
        first: First day, in the project timezone.
        last: Last day, included.
        names: Only events with these names; None for all.
    """
    zone = ZoneInfo(context.project.timezone)
    seen: set[tuple[object, ...]] = set()
    events = []
    for line in _read_lines(context, first, last):
        event = _parse(line, zone)
        if event is None or not first <= event.local_time.date() <= last:
            continue
        if (names is None or event.name in names) and not _is_duplicate(event, seen):
            events.append(event)
    return sorted(events, key=lambda event: event.time_s)


def read_matching(
    context: Context, request: Request, first: date, last: date, *, name: str | None
) -> list[Event]:
    """Return the events of a date range that match the parameter `where` of a request.

    Args:
        context: Provides the project.
        request: The request with the filter.
        first: First day, in the project timezone.
        last: Last day, included.
        name: Only events with this name; None or empty for all.

    Raises:
        ApiError: 400, the filter is invalid.
    """
    matches = parse_where(request)
    events = read_events(context, first, last, names=[name] if name else None)
    return [event for event in events if matches(event.properties)]


def default_date_range(context: Context) -> tuple[date, date]:
    """Return the first and the last day covered by queries without dates."""
    today = context.today()
    return today - timedelta(days=DEFAULT_DAYS - 1), today


def _read_lines(context: Context, first: date, last: date) -> Iterator[bytes]:
    # events are stored by UTC date, which differs from the local date by at most a day
    for number in range(-1, (last - first).days + 2):
        yield from list(context.project.events.get(first + timedelta(days=number), ()))


def _parse(line: bytes, zone: ZoneInfo) -> Event | None:
    try:
        event = json.loads(line)
        properties = event["properties"]
        time_s = _parse_time(properties["time"])
        local_time = datetime.fromtimestamp(time_s, zone)
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
    return Event(
        name=str(event.get("event", "")),
        distinct_id=str(properties.get("distinct_id", "")),
        time_s=time_s,
        local_time=local_time,
        properties=properties,
    )


def _parse_time(time: str | float) -> float:
    """Convert an ISO time (UTC without an offset), seconds or milliseconds to epoch seconds."""
    if isinstance(time, str):
        parsed = datetime.fromisoformat(time.replace("Z", "+00:00"))
        utc = parsed.replace(tzinfo=parsed.tzinfo or timezone.utc)
        return utc.timestamp()
    return float(time) / 1000 if time >= _MIN_MILLISECONDS else float(time)


def _is_duplicate(event: Event, seen: set[tuple[object, ...]]) -> bool:
    insert_id = event.properties.get("$insert_id")
    if insert_id is None:
        return False
    key = event.name, event.distinct_id, event.time_s, str(insert_id)
    if key in seen:
        return True
    seen.add(key)
    return False
