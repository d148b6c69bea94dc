"""What happens most: events, their properties and the values of those.

Source: https://developer.mixpanel.com/reference/query-top-events
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

from ..context import World
from ..endpoints.params import list_segments, parse_count, parse_days, require
from ..messages import Reply, Request, json_reply
from .counts import Kind, measure, parse_kind
from .events import Event, last_days, read_events
from .time_buckets import scramble_keys

TOP_EVENTS = 100
TOP_NAMES = 255
MAX_NAMES = 5000
TOP_PROPERTIES = 10

DAY_S = 86_400


def top_events(world: World, request: Request) -> Reply:
    """Answer today's most common events, compared with yesterday up to the same time.

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    kind = parse_kind(request)
    limit = parse_count(request, "limit", TOP_EVENTS)
    today, now_s = world.today(), world.clock()
    events = read_events(world, today - timedelta(days=1), today)
    past = [event for event in events if event.local.date() < today]
    before = _count_names((one for one in past if one.time_s <= now_s - DAY_S), kind)
    amounts = _count_names((one for one in events if one.local.date() == today), kind)
    listed = [
        {"event": name, "amount": amount, "percent_change": _change(before.get(name, 0), amount)}
        for name, amount in _largest(amounts, limit)
    ]
    return json_reply({"events": listed, "type": kind})


def event_names(world: World, request: Request) -> Reply:
    """Answer the names of the most common events of the last 31 days, in alphabetical order.

    Source: https://developer.mixpanel.com/reference/query-months-top-event-names

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    kind = parse_kind(request)
    limit = min(parse_count(request, "limit", TOP_NAMES), MAX_NAMES)
    counts = _count_names(read_events(world, *_parse_days(world, request)), kind)
    names = [name for name, _ in _largest(counts, limit)]
    return json_reply(sorted(names, key=str.casefold))


def top_properties(world: World, request: Request) -> Reply:
    """Answer which properties an event had most often in the last 31 days.

    Source: https://developer.mixpanel.com/reference/query-events-top-properties

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    limit = parse_count(request, "limit", TOP_PROPERTIES)
    events = _read(world, request)
    counts = Counter(name for event in events for name in event.properties)
    return json_reply(
        scramble_keys({name: {"count": count} for name, count in _largest(counts, limit)})
    )


def property_values(world: World, request: Request) -> Reply:
    """Answer which values a property of an event had most often in the last 31 days.

    Source: https://developer.mixpanel.com/reference/query-events-top-property-values

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    name = require(request, "name")
    limit = parse_count(request, "limit", TOP_NAMES)
    found = [event.properties[name] for event in _read(world, request) if name in event.properties]
    counts = Counter(text for value in found for text in list_segments(value))
    return json_reply([value for value, _ in _largest(counts, limit)])


def _read(world: World, request: Request) -> list[Event]:
    name = require(request, "event")
    return read_events(world, *_parse_days(world, request), names=[name])


def _parse_days(world: World, request: Request) -> tuple[date, date]:
    """Return the days asked for, which no page documents, or the last 31."""
    if request.params.get("from_date"):
        return parse_days(request, today=world.today())
    return last_days(world)


def _count_names(events: Iterable[Event], kind: Kind) -> dict[str, float]:
    people: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        people[event.name][event.person] += 1
    return {name: measure(seen, kind) for name, seen in people.items()}


def _largest(counts: dict[str, float] | Counter[str], limit: int) -> list[tuple[str, float]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:limit]


def _change(before: float, now: float) -> float:
    """Return the change as a share of what there was before; 1 where that was nothing."""
    return (now - before) / before if before else 1.0
