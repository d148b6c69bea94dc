"""Counts of events by segment and time bucket, and the response envelope for them."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, cast

from ..endpoints.params import parse_choice
from ..messages import Request, Response, json_response
from .events import Event
from .time_buckets import TimeBuckets, shuffle, shuffle_keys

CountType = Literal["general", "unique", "average"]
"""Number of events, of users, or of events per user."""
COUNT_TYPES = ("general", "unique", "average")

Counts = dict[str, dict[str, float]]
"""Segment -> bucket -> count."""

OVERALL = "$overall"
"""Segment of all events, beside those of an expression or a property."""


def parse_count_type(request: Request, *, default: str | None = None) -> CountType:
    """Return what to count, from the parameter `type`.

    Raises:
        ApiError: 400, it is invalid, or missing without a default.
    """
    return cast("CountType", parse_choice(request, "type", COUNT_TYPES, default=default))


def count_events(
    events: Iterable[Event],
    buckets: TimeBuckets,
    *,
    count_type: CountType,
    split: Callable[[Event], Iterable[str]],
) -> Counts:
    """Count events by segment and bucket; buckets without events are absent.

    Args:
        events: The events to count.
        buckets: Time buckets.
        count_type: What to count.
        split: Returns the segments of an event.
    """
    users: defaultdict[str, defaultdict[str, Counter[str]]]
    users = defaultdict(lambda: defaultdict(Counter))
    for event in events:
        key = buckets.key_of(event.local_time)
        for segment in split(event):
            users[segment][key][event.distinct_id] += 1
    return {
        segment: {key: aggregate(by_user, count_type) for key, by_user in by_key.items()}
        for segment, by_key in users.items()
    }


def aggregate(by_user: Counter[str], count_type: CountType) -> float:
    """Return a count from the number of events of each user."""
    if count_type == "unique":
        return len(by_user)
    return by_user.total() / len(by_user) if count_type == "average" else by_user.total()


def top_segments(counts: Counts, limit: int) -> Counts:
    """Return the `limit` segments with the highest total."""
    largest = sorted(counts, key=lambda segment: (-sum(counts[segment].values()), segment))
    return {segment: counts[segment] for segment in largest[:limit]}


def fill_gaps(counts: Mapping[str, Mapping[str, float]], keys: Iterable[str]) -> Counts:
    """Return the counts of exactly the given buckets, 0 where there are none."""
    buckets = list(keys)
    return {
        segment: {key: by_key.get(key, 0) for key in buckets} for segment, by_key in counts.items()
    }


def series_response(request: Request, keys: Iterable[str], counts: Counts) -> Response:
    """Return counts in the envelope of segmentation, or as CSV if `format` requests it.

    Shape: {"data": {"series": [bucket], "values": {segment: {bucket: count}}}, "legend_size": int}
    """
    if request.params.get("format") == "csv":
        return _csv_response(list(keys), counts)
    values = {segment: shuffle_keys(by_key) for segment, by_key in shuffle_keys(counts).items()}
    data = {"series": shuffle(keys), "values": values}
    return json_response({"data": data, "legend_size": len(values)})


def _csv_response(keys: list[str], counts: Counts) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["date", *counts])
    for key in keys:
        writer.writerow([key, *(by_key.get(key, 0) for by_key in counts.values())])
    body = text.getvalue().encode("utf-8", "backslashreplace")
    return Response(content_type="text/csv", blocks=(body,))
