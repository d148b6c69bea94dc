"""Retention and frequency: who comes back when, and how often.

Source: https://developer.mixpanel.com/reference/retention-query
Source: https://developer.mixpanel.com/reference/retention-frequency-query
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ..context import World
from ..endpoints.params import parse_choice, parse_count, parse_days, parse_segments, parse_where
from ..messages import RefusedError, Reply, Request, json_reply
from .events import Event, read_events
from .funnels import OVERALL
from .time_buckets import LONG_UNITS, Buckets, scramble_keys

MAX_INTERVAL_DAYS = 90
TOP_VALUES = 255

Births = Mapping[tuple[str, str], datetime]
"""Bucket and person -> when that person came into the bucket."""
Returns = Mapping[tuple[str, str], set[tuple[int, str]]]
"""Bucket and segment -> the intervals in which somebody came back, and who."""


@dataclass(frozen=True)
class _Question:
    """What is asked of retention."""

    buckets: Buckets
    last_interval: int
    unbounded: bool
    now: datetime
    """Wall-clock time; intervals that start later are in no reply."""


def retention(world: World, request: Request) -> Reply:
    """Answer how many of those who came in a bucket came back in each interval after.

    An interval is counted from the moment somebody came; the one numbered 0 is the rest of their
    first interval. Without `born_event` nobody is born.

    Raises:
        RefusedError: 400, a parameter is missing or wrong; 500, `unit` and `interval` are given.
    """
    question = _parse_question(world, request)
    kind = parse_choice(request, "retention_type", ("birth", "compounded"), default="birth")
    segments = parse_segments(request)
    limit = parse_count(request, "limit", TOP_VALUES)
    buckets = question.buckets
    events = _read(world, request, buckets.first, world.today())
    births = _find_births(world, request, buckets, events if kind == "compounded" else None)
    returns = _find_returns(births, events, buckets, segments)
    if kind == "birth" and not request.params.get("born_event"):
        return json_reply({})
    return json_reply(_describe(question, births, returns, limit if segments else None))


def frequency(world: World, request: Request) -> Reply:
    """Answer how many people were active in at least one, two, three, ... parts of a bucket.

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    first, last = parse_days(request, today=world.today())
    buckets = Buckets(first, last, parse_choice(request, "unit", LONG_UNITS))
    part = parse_choice(request, "addiction_unit", ("hour", "day"))
    segments = parse_segments(request)
    limit = parse_count(request, "limit", TOP_VALUES)
    parts = _find_parts(world, request, buckets, Buckets(first, last, part))
    data: dict[str, Any] = {}
    for start in buckets.starts():
        by_segment = parts[buckets.name(start)]
        size = (buckets.next_start(start) - start).days * (24 if part == "hour" else 1)
        counts = {segment: _count_parts(seen, size) for segment, seen in by_segment.items()}
        overall = counts.pop(OVERALL, [0] * size)
        top = sorted(counts, key=lambda one: (-counts[one][0], one))[:limit]
        shown = {**{segment: counts[segment] for segment in top}, OVERALL: overall}
        data[buckets.name(start)] = scramble_keys(shown) if segments else overall
    return json_reply({"data": scramble_keys(data)})


def _parse_question(world: World, request: Request) -> _Question:
    first, last = parse_days(request, today=world.today())
    unit = parse_choice(request, "unit", LONG_UNITS, default="day")
    interval = parse_count(request, "interval", 1, maximum=MAX_INTERVAL_DAYS)
    count = parse_count(request, "interval_count", 1)
    if request.params.get("unit") and interval != 1:
        asked = {"unit": unit, "interval": interval, "interval_count": count}
        body = {"error": "unit and interval both specified", "request": asked}
        raise RefusedError(json_reply(body, 500))
    return _Question(
        buckets=Buckets(first, last, unit, interval),
        last_interval=count,
        unbounded=request.params.get("unbounded_retention", "").lower() in {"true", "1"},
        now=world.local_now().replace(tzinfo=None),
    )


def _read(world: World, request: Request, first: date, last: date) -> list[Event]:
    """Return what counts as activity: the event asked for, or any, where the filter holds."""
    name = request.params.get("event")
    keep = parse_where(request)
    events = read_events(world, first, last, names=[name] if name else None)
    return [event for event in events if keep(event.properties)]


def _find_births(
    world: World, request: Request, buckets: Buckets, events: Iterable[Event] | None
) -> Births:
    """Return who came when: in every bucket anew for `events`, else once by `born_event`."""
    once = events is None
    if events is None:
        keep = parse_where(request, "born_where")
        name = request.params.get("born_event", "")
        born = read_events(world, buckets.first, buckets.last, names=[name])
        events = [event for event in born if keep(event.properties)]
    births: dict[tuple[str, str], datetime] = {}
    known: set[str] = set()
    for event in events:
        key = buckets.key_of(event.local), event.person
        if event.local.date() > buckets.last or (once and event.person in known):
            continue
        known.add(event.person)
        births.setdefault(key, event.local.replace(tzinfo=None))
    return births


def _find_returns(
    births: Births,
    events: Iterable[Event],
    buckets: Buckets,
    segments: Callable[[Mapping[str, Any]], list[str]] | None,
) -> Returns:
    born: defaultdict[str, list[tuple[str, datetime]]] = defaultdict(list)
    for (key, person), moment in births.items():
        born[person].append((key, moment))
    returns: defaultdict[tuple[str, str], set[tuple[int, str]]] = defaultdict(set)
    for event in events:
        came = event.local.replace(tzinfo=None)
        names = [OVERALL, *(segments(event.properties) if segments else ())]
        for key, moment in born[event.person]:
            if came > moment:
                number = _count_intervals(moment, came, buckets)
                for name in names:
                    returns[key, name].add((number, event.person))
    return returns


def _count_intervals(since: datetime, until: datetime, buckets: Buckets) -> int:
    """Return how many whole intervals there are between two moments."""
    if buckets.unit == "month":
        months = (until.year - since.year) * 12 + until.month - since.month
        return months - ((until.day, until.time()) < (since.day, since.time()))
    days = 7 if buckets.unit == "week" else buckets.interval
    return (until - since) // timedelta(days=days)


def _describe(
    question: _Question, births: Births, returns: Returns, limit: int | None
) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for start in question.buckets.starts():
        key = question.buckets.name(start)
        size = _count_begun(question, start)
        first = sum(bucket == key for bucket, _ in births)
        by_segment: dict[str, Any] = {
            name: {
                "counts": _count_returns(seen, size, unbounded=question.unbounded),
                "first": first,
            }
            for (bucket, name), seen in returns.items()
            if bucket == key
        }
        overall = by_segment.pop(OVERALL, {"counts": [0] * size, "first": first})
        if limit is None:
            described[key] = overall
        else:
            top = sorted(by_segment, key=lambda name: (-sum(by_segment[name]["counts"]), name))
            shown = {name: by_segment[name] for name in top[:limit]}
            described[key] = scramble_keys({**shown, OVERALL: overall})
    return scramble_keys(described)


def _count_begun(question: _Question, start: datetime) -> int:
    """Return how many intervals have begun for those who came in the bucket with this start."""
    begun = 0
    while begun <= question.last_interval and start <= question.now:
        start = question.buckets.next_start(start)
        begun += 1
    return begun


def _count_returns(seen: set[tuple[int, str]], size: int, *, unbounded: bool) -> list[int]:
    people: list[set[str]] = [set() for _ in range(size)]
    for number, person in seen:
        for interval in range(number + 1) if unbounded else (number,):
            if interval < size:
                people[interval].add(person)
    return [len(came) for came in people]


def _find_parts(
    world: World, request: Request, buckets: Buckets, parts: Buckets
) -> defaultdict[str, defaultdict[str, defaultdict[str, set[str]]]]:
    """Return bucket -> segment -> person -> the parts of the bucket they were active in."""
    segments = parse_segments(request)
    found: defaultdict[str, defaultdict[str, defaultdict[str, set[str]]]]
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(set)))
    for event in _read(world, request, buckets.first, buckets.last):
        key, part = buckets.key_of(event.local), parts.key_of(event.local)
        for segment in [OVERALL, *(segments(event.properties) if segments else ())]:
            found[key][segment][event.person].add(part)
    return found


def _count_parts(people: Mapping[str, set[str]], size: int) -> list[int]:
    return [sum(len(parts) > number for parts in people.values()) for number in range(size)]
