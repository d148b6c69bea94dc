"""Counts of several events, or of the values of a property, over time.

Source: https://developer.mixpanel.com/reference/list-recent-events
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ..context import Context
from ..endpoints.expression_values import UNDEFINED
from ..endpoints.params import (
    parse_choice,
    parse_count,
    parse_date_range,
    parse_strings,
    require,
    segments_of,
)
from ..messages import Request, Response, api_error
from .counts import (
    CountType,
    count_events,
    fill_gaps,
    parse_count_type,
    series_response,
    top_segments,
)
from .events import Event, read_events
from .time_buckets import UNITS, TimeBuckets

TOP_VALUES = 255
MAX_VALUES = 10_000
MAX_INTERVAL = 10_000

_DAYS_PER_UNIT = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "month": 31}


def event_counts(context: Context, request: Request) -> Response:
    """Return the counts of several events per bucket.

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    require(request, "event")
    names = parse_strings(request, "event") or []
    count_type = _parse_count_type(request)
    buckets, keys = _parse_buckets(context, request)
    events = read_events(context, buckets.first, buckets.last, names=names)
    counts = count_events(events, buckets, count_type=count_type, split=lambda event: [event.name])
    by_name = fill_gaps({name: counts.get(name, {}) for name in names}, keys)
    return series_response(request, keys, by_name)


def event_properties(context: Context, request: Request) -> Response:
    """Return the counts of an event per bucket, by the values of a property.

    Source: https://developer.mixpanel.com/reference/query-event-properties

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    event_name, name = require(request, "event"), require(request, "name")
    count_type = _parse_count_type(request)
    limit = parse_count(request, "limit", TOP_VALUES, maximum=MAX_VALUES)
    wanted = parse_strings(request, "values")
    buckets, keys = _parse_buckets(context, request)

    def split(event: Event) -> list[str]:
        values = segments_of(event.properties.get(name, UNDEFINED))
        return [value for value in values if wanted is None or value in wanted]

    events = read_events(context, buckets.first, buckets.last, names=[event_name])
    counts = fill_gaps(count_events(events, buckets, count_type=count_type, split=split), keys)
    return series_response(request, keys, top_segments(counts, limit))


def _parse_count_type(request: Request) -> CountType:
    """Return what to count; users cannot be counted per minute or hour."""
    count_type = parse_count_type(request)
    unit = parse_choice(request, "unit", UNITS)
    if count_type == "unique" and unit in {"minute", "hour"}:
        raise api_error(400, f"type unique is not supported with unit {unit}", request)
    return count_type


def _parse_buckets(context: Context, request: Request) -> tuple[TimeBuckets, list[str]]:
    """Return the buckets of a date range, or the last `interval` ones up to now, and their names.

    In the second case the buckets may start earlier than the names, at the start of a day.
    """
    unit = require(request, "unit")
    if request.params.get("from_date") or not request.params.get("interval"):
        first, last = parse_date_range(request, today=context.today())
        buckets = TimeBuckets(first, last, unit)
        return buckets, buckets.names()
    interval = parse_count(request, "interval", 1, maximum=MAX_INTERVAL)
    now = context.local_now()
    candidates = TimeBuckets(_step_back(now, unit, interval).date(), now.date(), unit)
    current = candidates.start_of(now)
    starts = [start for start in candidates.starts() if start <= current][-interval:]
    buckets = TimeBuckets(starts[0].date(), now.date(), unit)
    return buckets, [buckets.name(start) for start in starts]


def _step_back(now: datetime, unit: str, interval: int) -> datetime:
    """Return a moment in or before the first of the last `interval` units."""
    return now - timedelta(days=_DAYS_PER_UNIT[unit] * (interval - 1))
