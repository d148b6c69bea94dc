"""Segmentation: an event over time, by segment or by a numeric property.

Source: https://developer.mixpanel.com/reference/segmentation-query
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..context import Context
from ..endpoints.expression_values import Value, is_number
from ..endpoints.params import (
    parse_choice,
    parse_count,
    parse_date_range,
    parse_expression,
    parse_segmenter,
    require,
)
from ..messages import Request, Response, json_response
from .counts import count_events, fill_gaps, parse_count_type, series_response, top_segments
from .events import read_matching
from .time_buckets import UNITS, TimeBuckets, shuffle_keys

TOP_SEGMENTS = 60
MAX_SEGMENTS = 10_000
NUMERIC_RANGES = 10
NUMERIC_UNITS = ("hour", "day")


def segmentation(context: Context, request: Request) -> Response:
    """Return the counts of an event per bucket, in total or by segment.

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    name = require(request, "event")
    buckets = _parse_buckets(context, request, UNITS)
    count_type = parse_count_type(request, default="general")
    limit = parse_count(request, "limit", TOP_SEGMENTS, maximum=MAX_SEGMENTS)
    segments = parse_segmenter(request)
    events = read_matching(context, request, buckets.first, buckets.last, name=name)
    if segments is None:
        total = count_events(events, buckets, count_type=count_type, split=lambda _: [name])
        counts = fill_gaps({name: total.get(name, {})}, buckets.names())
        return series_response(request, buckets.names(), counts)
    counts = count_events(
        events, buckets, count_type=count_type, split=lambda event: segments(event.properties)
    )
    return series_response(request, buckets.names(), top_segments(counts, limit))


def segmentation_numeric(context: Context, request: Request) -> Response:
    """Return the counts of an event per bucket, by about ten ranges of a number.

    Source: https://developer.mixpanel.com/reference/segmentation-numeric-query

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    evaluate = parse_expression(request)
    name = require(request, "event")
    buckets = _parse_buckets(context, request, NUMERIC_UNITS)
    count_type = parse_count_type(request, default="general")
    events = read_matching(context, request, buckets.first, buckets.last, name=name)
    values = {id(event): _as_number(evaluate(event.properties)) for event in events}
    numbers = {key: value for key, value in values.items() if value is not None}
    counted = [event for event in events if id(event) in numbers]
    range_of = _make_ranges(list(numbers.values()))
    counts = count_events(
        counted, buckets, count_type=count_type, split=lambda event: [range_of(numbers[id(event)])]
    )
    return series_response(request, buckets.names(), counts)


def segmentation_sum(context: Context, request: Request) -> Response:
    """Return the sum of a number over the events of each bucket.

    Source: https://developer.mixpanel.com/reference/segmentation-sum-query

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    return _calculate(context, request, math.fsum)


def segmentation_average(context: Context, request: Request) -> Response:
    """Return the mean of a number over the events of each bucket.

    Source: https://developer.mixpanel.com/reference/segmentation-query-average

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    return _calculate(context, request, lambda values: math.fsum(values) / (len(values) or 1))


def _calculate(
    context: Context, request: Request, calculate: Callable[[list[float]], float]
) -> Response:
    evaluate = parse_expression(request)
    buckets = _parse_buckets(context, request, NUMERIC_UNITS)
    name = require(request, "event")
    values: dict[str, list[float]] = {key: [] for key in buckets.names()}
    for event in read_matching(context, request, buckets.first, buckets.last, name=name):
        number = _as_number(evaluate(event.properties))
        values[buckets.key_of(event.local_time)].append(number or 0.0)
    results = {key: calculate(numbers) for key, numbers in values.items()}
    computed_at = context.now().isoformat(timespec="microseconds")
    return json_response(
        {"status": "ok", "computed_at": computed_at, "results": shuffle_keys(results)}
    )


def _parse_buckets(context: Context, request: Request, units: tuple[str, ...]) -> TimeBuckets:
    first, last = parse_date_range(request, today=context.today())
    if "unit" not in request.params and request.params.get("interval"):
        return TimeBuckets(first, last, "day", parse_count(request, "interval", 1))
    return TimeBuckets(first, last, parse_choice(request, "unit", units, default="day"))


def _as_number(value: Value) -> float | None:
    """Return a finite number, or None for any other value."""
    if not is_number(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _make_ranges(numbers: list[float]) -> Callable[[float], str]:
    """Return a function that names the range of a number: about ten ranges with round bounds."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    width = _round_up((high - low) / NUMERIC_RANGES)

    def range_of(number: float) -> str:
        start = math.floor(number / width) * width
        return f"{start:,.10g} - {start + width:,.10g}"

    return range_of


def _round_up(width: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    if width <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width)
