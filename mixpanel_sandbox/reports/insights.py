"""Saved Insights reports.

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
from .time_buckets import TimeBuckets, shuffle_keys


@dataclass(frozen=True)
class _TimeFrame:
    """Time buckets and the timezone of their names."""

    buckets: TimeBuckets
    zone: ZoneInfo


def insights(context: Context, request: Request) -> Response:
    """Return the counts of a saved report, whose last day is always today.

    Shape: {"series": {event: {start: count}}}; each property in `headers` adds a level of nesting,
    with `$overall` beside its values.

    Raises:
        ApiError: 400, the report does not exist.
    """
    bookmark_id = parse_id(request, "bookmark_id")
    if bookmark_id not in context.project.bookmarks:
        raise api_error(400, f"bookmark_id {bookmark_id} does not exist", request)
    report = context.project.bookmarks[bookmark_id]
    today, zone = context.today(), ZoneInfo(context.project.timezone)
    buckets = TimeBuckets(today - timedelta(days=report["days"] - 1), today, report["unit"])
    events = read_events(context, buckets.first, today, names=report["events"])
    frame = _TimeFrame(buckets, zone)
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
            "series": shuffle_keys(series),
        }
    )


def _nest(events: Sequence[Event], frame: _TimeFrame, names: Sequence[str]) -> dict[str, Any]:
    """Return counts per bucket, nested by the values of each property."""
    if not names:
        return _count(events, frame)
    by_value: dict[str, list[Event]] = {}
    for event in events:
        for value in segments_of(event.properties.get(names[0], UNDEFINED)):
            by_value.setdefault(value, []).append(event)
    nested = {value: _nest(split, frame, names[1:]) for value, split in by_value.items()}
    return shuffle_keys({**nested, OVERALL: _count(events, frame)})


def _count(events: Sequence[Event], frame: _TimeFrame) -> dict[str, int]:
    counts = dict.fromkeys(frame.buckets.starts(), 0)
    for event in events:
        counts[frame.buckets.start_of(event.local_time)] += 1
    named = {start.replace(tzinfo=frame.zone).isoformat(): n for start, n in counts.items()}
    return shuffle_keys(named)
