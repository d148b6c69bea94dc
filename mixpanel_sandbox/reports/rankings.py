"""Rankings: the most frequent events, properties and property values.

Source: https://developer.mixpanel.com/reference/query-top-events
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

from ..context import Context
from ..endpoints.params import parse_count, parse_date_range, require, segments_of
from ..messages import Request, Response, json_response
from .counts import CountType, aggregate, parse_count_type
from .events import Event, default_date_range, read_events
from .time_buckets import shuffle_keys

TOP_EVENTS = 100
TOP_NAMES = 255
MAX_NAMES = 5000
TOP_PROPERTIES = 10

DAY_S = 86_400


def top_events(context: Context, request: Request) -> Response:
    """Return today's most frequent events, compared with yesterday up to the same time of day.

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    count_type = parse_count_type(request)
    limit = parse_count(request, "limit", TOP_EVENTS)
    today, now_s = context.today(), context.clock()
    events = read_events(context, today - timedelta(days=1), today)
    yesterday = [
        event
        for event in events
        if event.local_time.date() < today and event.time_s <= now_s - DAY_S
    ]
    before = _count_by_name(yesterday, count_type)
    amounts = _count_by_name(
        (event for event in events if event.local_time.date() == today), count_type
    )
    listed = [
        {"event": name, "amount": amount, "percent_change": _change(before.get(name, 0), amount)}
        for name, amount in _largest(amounts, limit)
    ]
    return json_response({"events": listed, "type": count_type})


def event_names(context: Context, request: Request) -> Response:
    """Return the names of the most frequent events of the last 31 days, in alphabetical order.

    Source: https://developer.mixpanel.com/reference/query-months-top-event-names

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    count_type = parse_count_type(request)
    limit = min(parse_count(request, "limit", TOP_NAMES), MAX_NAMES)
    events = read_events(context, *_parse_date_range(context, request))
    names = [name for name, _ in _largest(_count_by_name(events, count_type), limit)]
    return json_response(sorted(names, key=str.casefold))


def top_properties(context: Context, request: Request) -> Response:
    """Return the most frequent properties of an event in the last 31 days.

    Source: https://developer.mixpanel.com/reference/query-events-top-properties

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    limit = parse_count(request, "limit", TOP_PROPERTIES)
    events = _read(context, request)
    counts = Counter(name for event in events for name in event.properties)
    return json_response(
        shuffle_keys({name: {"count": count} for name, count in _largest(counts, limit)})
    )


def property_values(context: Context, request: Request) -> Response:
    """Return the most frequent values of an event property in the last 31 days.

    Source: https://developer.mixpanel.com/reference/query-events-top-property-values

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    name = require(request, "name")
    limit = parse_count(request, "limit", TOP_NAMES)
    events = _read(context, request)
    values = [event.properties[name] for event in events if name in event.properties]
    counts = Counter(text for value in values for text in segments_of(value))
    return json_response([value for value, _ in _largest(counts, limit)])


def _read(context: Context, request: Request) -> list[Event]:
    name = require(request, "event")
    return read_events(context, *_parse_date_range(context, request), names=[name])


def _parse_date_range(context: Context, request: Request) -> tuple[date, date]:
    """Return the last 31 days, or the days of `from_date` and `to_date`, which are undocumented."""
    if request.params.get("from_date"):
        return parse_date_range(request, today=context.today())
    return default_date_range(context)


def _count_by_name(events: Iterable[Event], count_type: CountType) -> dict[str, float]:
    users: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        users[event.name][event.distinct_id] += 1
    return {name: aggregate(by_user, count_type) for name, by_user in users.items()}


def _largest(counts: dict[str, float] | Counter[str], limit: int) -> list[tuple[str, float]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]


def _change(before: float, now: float) -> float:
    """Return the relative change; 1 if there was nothing before."""
    return (now - before) / before if before else 1.0
