"""Insights reports, saved or declared in the request.

Source: https://developer.mixpanel.com/reference/insights-query
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..context import Context
from ..endpoints.expression_values import UNDEFINED
from ..endpoints.params import parse_id, segments_of
from ..messages import Request, Response, api_error, json_response
from .counts import OVERALL
from .events import Event, read_events
from .inline import parse_inline
from .time_buckets import TimeBuckets, shuffle_keys

MAX_SEGMENTS = 3_000
"""Maximum values of a breakdown, unless the report has another `limit`."""


@dataclass
class _Frame:
    """How counts are arranged."""

    buckets: TimeBuckets
    zone: ZoneInfo
    """Timezone of the names of buckets."""
    chart: str
    """`line` for counts per bucket, `bar` for their sum."""
    limit: int
    """Maximum values of a breakdown."""
    is_limit_hit: bool = False
    """Whether the limit left out any."""


def insights(context: Context, request: Request) -> Response:
    """Return the counts of a saved report, whose last day is always today.

    Shape: {"series": {event: {start: count}}}; each property in `headers` adds a level of nesting,
    with `$overall` beside its values. A bar chart has the key `all` instead of starts. Each
    breakdown has the largest segments up to a limit, and `meta` states whether that left out any.

    Raises:
        ApiError: 400, the report does not exist, or is not one that the sandbox counts.
    """
    report = parse_inline(request) if request.method == "POST" else _saved(context, request)
    today, zone = context.today(), ZoneInfo(context.project.timezone)
    buckets = TimeBuckets(today - timedelta(days=report["days"] - 1), today, report["unit"])
    events = read_events(context, buckets.first, today, names=report["events"])
    frame = _Frame(buckets, zone, report.get("chart", "line"), report.get("limit", MAX_SEGMENTS))
    series = {
        name: _nest([event for event in events if event.name == name], frame, report["on"])
        for name in report["events"]
    }
    first = datetime.combine(buckets.first, time(), zone)
    last = datetime.combine(today, time(23, 59, 59, 999_000), zone)
    return json_response(
        {
            "computed_at": context.now().isoformat(timespec="microseconds"),
            "date_range": {"from_date": first.isoformat(), "to_date": last.isoformat()},
            "headers": ["$event", *report["on"]],
            "meta": {
                "min_sampling_factor": 1.0,
                "is_segmentation_limit_hit": frame.is_limit_hit,
            },
            "series": shuffle_keys(series),
        }
    )


def _saved(context: Context, request: Request) -> dict[str, Any]:
    bookmark_id = parse_id(request, "bookmark_id")
    if bookmark_id not in context.project.bookmarks:
        raise api_error(400, f"bookmark_id {bookmark_id} does not exist", request)
    return context.project.bookmarks[bookmark_id]


def _nest(events: Sequence[Event], frame: _Frame, names: Sequence[str]) -> dict[str, Any]:
    """Return counts per bucket, nested by the values of each property."""
    if not names:
        return _count(events, frame)
    by_value: dict[str, list[Event]] = {}
    for event in events:
        for value in segments_of(event.properties.get(names[0], UNDEFINED)):
            by_value.setdefault(value, []).append(event)
    largest = sorted(by_value, key=lambda value: (-len(by_value[value]), value))
    frame.is_limit_hit |= len(largest) > frame.limit
    nested = {value: _nest(by_value[value], frame, names[1:]) for value in largest[: frame.limit]}
    return shuffle_keys({**nested, OVERALL: _count(events, frame)})


def _count(events: Sequence[Event], frame: _Frame) -> dict[str, int]:
    if frame.chart == "bar":
        return {"all": len(events)}
    counts = dict.fromkeys(frame.buckets.starts(), 0)
    for event in events:
        counts[frame.buckets.start_of(event.local_time)] += 1
    named = {start.replace(tzinfo=frame.zone).isoformat(): n for start, n in counts.items()}
    return shuffle_keys(named)
