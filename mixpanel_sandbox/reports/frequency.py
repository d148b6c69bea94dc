"""Frequency: in how many hours or days users were active.

Source: https://developer.mixpanel.com/reference/retention-frequency-query
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ..context import Context
from ..endpoints.params import parse_choice, parse_count, parse_date_range, parse_segmenter
from ..messages import Request, Response, json_response
from .counts import OVERALL
from .events import read_matching
from .time_buckets import LONG_UNITS, TimeBuckets, shuffle_keys

TOP_VALUES = 255

ActivePeriods = defaultdict[str, defaultdict[str, defaultdict[str, set[str]]]]
"""Bucket -> segment -> user -> the hours or days in which the user was active."""


def frequency(context: Context, request: Request) -> Response:
    """Return how many users were active in at least 1, 2, 3, ... hours or days of a bucket.

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    first, last = parse_date_range(request, today=context.today())
    buckets = TimeBuckets(first, last, parse_choice(request, "unit", LONG_UNITS))
    period = parse_choice(request, "addiction_unit", ("hour", "day"))
    has_segments = bool(request.params.get("on"))
    limit = parse_count(request, "limit", TOP_VALUES)
    active = _find_active_periods(context, request, buckets, TimeBuckets(first, last, period))
    data: dict[str, Any] = {}
    for start in buckets.starts():
        by_segment = active[buckets.name(start)]
        size = (buckets.next_start(start) - start).days * (24 if period == "hour" else 1)
        counts = {segment: _count_users(users, size) for segment, users in by_segment.items()}
        overall = counts.pop(OVERALL, [0] * size)
        top = sorted(counts, key=lambda segment: (-counts[segment][0], segment))[:limit]
        shown = {**{segment: counts[segment] for segment in top}, OVERALL: overall}
        data[buckets.name(start)] = shuffle_keys(shown) if has_segments else overall
    return json_response({"data": shuffle_keys(data)})


def _find_active_periods(
    context: Context, request: Request, buckets: TimeBuckets, periods: TimeBuckets
) -> ActivePeriods:
    segments = parse_segmenter(request)
    active: ActivePeriods = defaultdict(lambda: defaultdict(lambda: defaultdict(set)))
    name = request.params.get("event")
    for event in read_matching(context, request, buckets.first, buckets.last, name=name):
        key, period = buckets.key_of(event.local_time), periods.key_of(event.local_time)
        for segment in [OVERALL, *(segments(event.properties) if segments else ())]:
            active[key][segment][event.distinct_id].add(period)
    return active


def _count_users(users: Mapping[str, set[str]], size: int) -> list[int]:
    """Return the number of users active in at least 1, 2, ..., `size` periods."""
    return [sum(len(periods) > number for periods in users.values()) for number in range(size)]
