"""Retention: how many users of a cohort came back in each later interval.

Source: https://developer.mixpanel.com/reference/retention-query
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..context import Context
from ..endpoints.params import (
    Properties,
    parse_choice,
    parse_count,
    parse_date_range,
    parse_segmenter,
    parse_where,
)
from ..messages import ApiError, Request, Response, json_response
from .counts import OVERALL
from .events import Event, read_events, read_matching
from .time_buckets import LONG_UNITS, TimeBuckets, shuffle_keys

MAX_INTERVAL_DAYS = 90
TOP_VALUES = 255

Births = Mapping[tuple[str, str], datetime]
"""(bucket, user) -> local time at which the user entered the cohort of the bucket."""
Returns = Mapping[tuple[str, str], set[tuple[int, str]]]
"""(bucket, segment) -> (interval, user) of each return."""


@dataclass(frozen=True)
class _Query:
    """The parameters of the request."""

    buckets: TimeBuckets
    last_interval: int
    unbounded: bool
    now: datetime
    """Local time; intervals that start later are left out."""


def retention(context: Context, request: Request) -> Response:
    """Return how many users of each cohort came back in each interval.

    A cohort is the users who entered in the same bucket. Intervals are counted from the moment a
    user entered; interval 0 is the rest of the user's first one. With the retention type birth and
    no `born_event` the result is empty.

    Raises:
        ApiError: 400, a parameter is missing or invalid; 500, both `unit` and `interval` are given.
    """
    query = _parse_query(context, request)
    retention_type = parse_choice(
        request, "retention_type", ("birth", "compounded"), default="birth"
    )
    segments = parse_segmenter(request)
    limit = parse_count(request, "limit", TOP_VALUES)
    buckets = query.buckets
    name = request.params.get("event")
    events = read_matching(context, request, buckets.first, context.today(), name=name)
    if retention_type == "birth":
        births = _find_births(_read_born(context, request, buckets), buckets, once=True)
    else:
        births = _find_births(events, buckets, once=False)
    returns = _find_returns(births, events, buckets, segments)
    if retention_type == "birth" and not request.params.get("born_event"):
        return json_response({})
    return json_response(_describe(query, births, returns, limit if segments else None))


def _parse_query(context: Context, request: Request) -> _Query:
    first, last = parse_date_range(request, today=context.today())
    unit = parse_choice(request, "unit", LONG_UNITS, default="day")
    interval = parse_count(request, "interval", 1, maximum=MAX_INTERVAL_DAYS)
    count = parse_count(request, "interval_count", 1)
    if request.params.get("unit") and interval != 1:
        echoed = {"unit": unit, "interval": interval, "interval_count": count}
        body = {"error": "unit and interval both specified", "request": echoed}
        raise ApiError(json_response(body, 500))
    return _Query(
        buckets=TimeBuckets(first, last, unit, interval),
        last_interval=count,
        unbounded=request.params.get("unbounded_retention", "").lower() in {"true", "1"},
        now=context.local_now().replace(tzinfo=None),
    )


def _read_born(context: Context, request: Request, buckets: TimeBuckets) -> list[Event]:
    """Return the events `born_event` that match `born_where`."""
    matches = parse_where(request, "born_where")
    name = request.params.get("born_event", "")
    events = read_events(context, buckets.first, buckets.last, names=[name])
    return [event for event in events if matches(event.properties)]


def _find_births(events: Iterable[Event], buckets: TimeBuckets, *, once: bool) -> Births:
    """Return who entered which cohort when.

    Args:
        events: The events by which users enter a cohort, ordered by time.
        buckets: The cohorts.
        once: Whether a user enters only the first cohort, or every one.
    """
    births: dict[tuple[str, str], datetime] = {}
    known: set[str] = set()
    for event in events:
        key = buckets.key_of(event.local_time), event.distinct_id
        if event.local_time.date() > buckets.last or (once and event.distinct_id in known):
            continue
        known.add(event.distinct_id)
        births.setdefault(key, event.local_time.replace(tzinfo=None))
    return births


def _find_returns(
    births: Births,
    events: Iterable[Event],
    buckets: TimeBuckets,
    segments: Callable[[Properties], list[str]] | None,
) -> Returns:
    cohorts: defaultdict[str, list[tuple[str, datetime]]] = defaultdict(list)
    for (key, user), entered in births.items():
        cohorts[user].append((key, entered))
    returns: defaultdict[tuple[str, str], set[tuple[int, str]]] = defaultdict(set)
    for event in events:
        returned = event.local_time.replace(tzinfo=None)
        names = [OVERALL, *(segments(event.properties) if segments else ())]
        for key, entered in cohorts[event.distinct_id]:
            if returned > entered:
                interval = _count_intervals(entered, returned, buckets)
                for name in names:
                    returns[key, name].add((interval, event.distinct_id))
    return returns


def _count_intervals(since: datetime, until: datetime, buckets: TimeBuckets) -> int:
    """Return the number of whole intervals between two moments."""
    if buckets.unit == "month":
        months = (until.year - since.year) * 12 + until.month - since.month
        return months - ((until.day, until.time()) < (since.day, since.time()))
    days = 7 if buckets.unit == "week" else buckets.interval
    return (until - since) // timedelta(days=days)


def _describe(query: _Query, births: Births, returns: Returns, limit: int | None) -> dict[str, Any]:
    """Return the response body, by segment unless `limit`, the maximum of segments, is None."""
    described: dict[str, Any] = {}
    for start in query.buckets.starts():
        key = query.buckets.name(start)
        size = _count_started(query, start)
        first = sum(bucket == key for bucket, _ in births)
        by_segment: dict[str, Any] = {
            name: {
                "counts": _count_users(in_segment, size, unbounded=query.unbounded),
                "first": first,
            }
            for (bucket, name), in_segment in returns.items()
            if bucket == key
        }
        overall = by_segment.pop(OVERALL, {"counts": [0] * size, "first": first})
        if limit is None:
            described[key] = overall
        else:
            top = sorted(by_segment, key=lambda name: (-sum(by_segment[name]["counts"]), name))
            shown = {name: by_segment[name] for name in top[:limit]}
            described[key] = shuffle_keys({**shown, OVERALL: overall})
    return shuffle_keys(described)


def _count_started(query: _Query, start: datetime) -> int:
    """Return the number of intervals that have started for the cohort with this start."""
    started = 0
    while started <= query.last_interval and start <= query.now:
        start = query.buckets.next_start(start)
        started += 1
    return started


def _count_users(returns: set[tuple[int, str]], size: int, *, unbounded: bool) -> list[int]:
    """Return the number of users who came back in each interval, or with `unbounded` also later."""
    users: list[set[str]] = [set() for _ in range(size)]
    for number, user in returns:
        for interval in range(number + 1) if unbounded else (number,):
            if interval < size:
                users[interval].add(user)
    return [len(in_interval) for in_interval in users]
