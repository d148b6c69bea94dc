"""Segmentation and event counts, by time.

Source: https://developer.mixpanel.com/reference/segmentation-query
Source: https://developer.mixpanel.com/reference/list-recent-events
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from ..context import World
from ..endpoints.expression_values import UNDEFINED, Value, is_number
from ..endpoints.params import (
    list_segments,
    parse_choice,
    parse_count,
    parse_days,
    parse_segments,
    parse_strings,
    parse_value,
    parse_where,
    require,
)
from ..messages import Reply, Request, json_reply, refused
from .counts import Kind, count_events, fill, keep_top, parse_kind, series_reply
from .events import Event, read_events
from .time_buckets import UNITS, Buckets, scramble_keys

TOP_SEGMENTS = 60
TOP_VALUES = 255
MAX_SEGMENTS = 10_000
NUMERIC_BUCKETS = 10
SHORT_UNITS = ("hour", "day")


def segmentation(world: World, request: Request) -> Reply:
    """Answer how often an event happened in each bucket, whole or by segment.

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    name = require(request, "event")
    buckets = _parse_buckets(world, request, UNITS)
    kind = parse_kind(request, default="general")
    limit = parse_count(request, "limit", TOP_SEGMENTS, maximum=MAX_SEGMENTS)
    segments = parse_segments(request)
    events = _read(world, request, name, buckets)
    if segments is None:
        found = count_events(events, buckets, kind=kind, split=lambda _: [name])
        counts = fill({name: found.get(name, {})}, buckets.names())
        return series_reply(request, buckets.names(), counts)
    counts = count_events(
        events, buckets, kind=kind, split=lambda event: segments(event.properties)
    )
    return series_reply(request, buckets.names(), keep_top(counts, limit))


def segmentation_numeric(world: World, request: Request) -> Reply:
    """Answer how often an event happened with numbers in each of about ten ranges.

    Source: https://developer.mixpanel.com/reference/segmentation-numeric-query

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    value_of = parse_value(request)
    name = require(request, "event")
    buckets = _parse_buckets(world, request, SHORT_UNITS)
    kind = parse_kind(request, default="general")
    events = _read(world, request, name, buckets)
    values = {id(event): _read_number(value_of(event.properties)) for event in events}
    numbers = {number: value for number, value in values.items() if value is not None}
    counted = [event for event in events if id(event) in numbers]
    label = _ranges(list(numbers.values()))
    counts = count_events(
        counted, buckets, kind=kind, split=lambda event: [label(numbers[id(event)])]
    )
    return series_reply(request, buckets.names(), counts)


def segmentation_sum(world: World, request: Request) -> Reply:
    """Answer the sum of a number over the events of each bucket.

    Source: https://developer.mixpanel.com/reference/segmentation-sum-query

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    return _calculate(world, request, math.fsum)


def segmentation_average(world: World, request: Request) -> Reply:
    """Answer the mean of a number over the events of each bucket.

    Source: https://developer.mixpanel.com/reference/segmentation-query-average

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    return _calculate(world, request, lambda values: math.fsum(values) / (len(values) or 1))


def event_counts(world: World, request: Request) -> Reply:
    """Answer how often each of several events happened in each bucket.

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    require(request, "event")
    names = parse_strings(request, "event") or []
    kind = _parse_kind_and_unit(request)
    buckets, keys = _parse_window(world, request)
    events = read_events(world, buckets.first, buckets.last, names=names)
    found = count_events(events, buckets, kind=kind, split=lambda event: [event.name])
    counts = fill({name: found.get(name, {}) for name in names}, keys)
    return series_reply(request, keys, counts)


def event_properties(world: World, request: Request) -> Reply:
    """Answer how often an event happened with each value of a property in each bucket.

    Source: https://developer.mixpanel.com/reference/query-event-properties

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    event_name, name = require(request, "event"), require(request, "name")
    kind = _parse_kind_and_unit(request)
    limit = parse_count(request, "limit", TOP_VALUES, maximum=MAX_SEGMENTS)
    wanted = parse_strings(request, "values")
    buckets, keys = _parse_window(world, request)

    def split(event: Event) -> list[str]:
        values = list_segments(event.properties.get(name, UNDEFINED))
        return [value for value in values if wanted is None or value in wanted]

    events = read_events(world, buckets.first, buckets.last, names=[event_name])
    counts = fill(count_events(events, buckets, kind=kind, split=split), keys)
    return series_reply(request, keys, keep_top(counts, limit))


def _calculate(world: World, request: Request, calculate: Callable[[list[float]], float]) -> Reply:
    value_of = parse_value(request)
    buckets = _parse_buckets(world, request, SHORT_UNITS)
    values: dict[str, list[float]] = {key: [] for key in buckets.names()}
    for event in _read(world, request, require(request, "event"), buckets):
        number = _read_number(value_of(event.properties))
        values[buckets.key_of(event.local)].append(number or 0.0)
    results = {key: calculate(numbers) for key, numbers in values.items()}
    computed_at = world.now().isoformat(timespec="microseconds")
    return json_reply(
        {"status": "ok", "computed_at": computed_at, "results": scramble_keys(results)}
    )


def _read(world: World, request: Request, name: str, buckets: Buckets) -> list[Event]:
    keep = parse_where(request)
    events = read_events(world, buckets.first, buckets.last, names=[name])
    return [event for event in events if keep(event.properties)]


def _parse_buckets(world: World, request: Request, units: tuple[str, ...]) -> Buckets:
    first, last = parse_days(request, today=world.today())
    if "unit" not in request.params and request.params.get("interval"):
        return Buckets(first, last, "day", parse_count(request, "interval", 1))
    return Buckets(first, last, parse_choice(request, "unit", units, default="day"))


def _parse_kind_and_unit(request: Request) -> Kind:
    kind = parse_kind(request)
    unit = parse_choice(request, "unit", UNITS)
    if kind == "unique" and unit in {"minute", "hour"}:
        raise refused(400, f"type unique is not supported with unit {unit}", request)
    return kind


def _parse_window(world: World, request: Request) -> tuple[Buckets, list[str]]:
    """Return the buckets between two days, or the last ones up to now, and their names."""
    unit = require(request, "unit")
    if request.params.get("from_date") or not request.params.get("interval"):
        first, last = parse_days(request, today=world.today())
        buckets = Buckets(first, last, unit)
        return buckets, buckets.names()
    interval = parse_count(request, "interval", 1, maximum=MAX_SEGMENTS)
    now = world.local_now()
    reach = Buckets(_step_back(now, unit, interval).date(), now.date(), unit)
    current = reach.start_of(now)
    starts = [start for start in reach.starts() if start <= current][-interval:]
    buckets = Buckets(starts[0].date(), now.date(), unit)
    return buckets, [buckets.name(start) for start in starts]


def _step_back(now: datetime, unit: str, interval: int) -> datetime:
    """Return a moment in the first of the last `interval` units, or before it."""
    days = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "month": 31}
    return now - timedelta(days=days[unit] * (interval - 1))


def _read_number(value: Value) -> float | None:
    """Return a finite number, or None for all that is none."""
    if not is_number(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _ranges(numbers: list[float]) -> Callable[[float], str]:
    """Return what names the range a number is in: about ten of them, with round borders."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    width = _round_up((high - low) / NUMERIC_BUCKETS)

    def label(number: float) -> str:
        start = math.floor(number / width) * width
        return f"{start:,.10g} - {start + width:,.10g}"

    return label


def _round_up(width: float) -> float:
    """Return 1, 2 or 5 times a power of ten, not less than `width`."""
    if width <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width)
