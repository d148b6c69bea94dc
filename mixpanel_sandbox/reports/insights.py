"""Saved reports.

Source: https://developer.mixpanel.com/reference/insights-query
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..context import World
from ..endpoints.expression_values import UNDEFINED
from ..endpoints.params import list_segments, parse_id
from ..messages import Reply, Request, json_reply, refused
from .events import Event, read_events
from .funnels import OVERALL
from .time_buckets import Buckets, scramble_keys


@dataclass(frozen=True)
class _Frame:
    """Where in time a report counts."""

    buckets: Buckets
    zone: ZoneInfo


def insights(world: World, request: Request) -> Reply:
    """Answer with the counts of a saved report, whose last day is always today.

    Shape: {"series": {event: {start: count}}}; each property in `headers` nests one level more,
    with `$overall` beside its values.

    Raises:
        RefusedError: 400, there is no such report.
    """
    bookmark_id = parse_id(request, "bookmark_id")
    if bookmark_id not in world.project.bookmarks:
        raise refused(400, f"bookmark_id {bookmark_id} does not exist", request)
    report = world.project.bookmarks[bookmark_id]
    today, zone = world.today(), ZoneInfo(world.project.timezone)
    buckets = Buckets(today - timedelta(days=report["days"] - 1), today, report["unit"])
    events = read_events(world, buckets.first, today, names=report["events"])
    frame = _Frame(buckets, zone)
    series = {
        name: _nest([event for event in events if event.name == name], frame, report["on"])
        for name in report["events"]
    }
    first = datetime.combine(buckets.first, time(), zone)
    last = datetime.combine(today, time(23, 59, 59, 999_000), zone)
    return json_reply(
        {
            "computed_at": world.now().isoformat(timespec="microseconds"),
            "date_range": {"from_date": first.isoformat(), "to_date": last.isoformat()},
            "headers": ["$event", *report["on"]],
            "series": scramble_keys(series),
        }
    )


def _nest(events: Sequence[Event], frame: _Frame, names: Sequence[str]) -> dict[str, Any]:
    """Return counts by bucket, under the values of each property in its turn."""
    if not names:
        return _count(events, frame)
    split: dict[str, list[Event]] = {}
    for event in events:
        for value in list_segments(event.properties.get(names[0], UNDEFINED)):
            split.setdefault(value, []).append(event)
    nested = {value: _nest(of, frame, names[1:]) for value, of in split.items()}
    return scramble_keys({**nested, OVERALL: _count(events, frame)})


def _count(events: Sequence[Event], frame: _Frame) -> dict[str, int]:
    counts = dict.fromkeys(frame.buckets.starts(), 0)
    for event in events:
        counts[frame.buckets.start_of(event.local)] += 1
    named = {start.replace(tzinfo=frame.zone).isoformat(): n for start, n in counts.items()}
    return scramble_keys(named)
