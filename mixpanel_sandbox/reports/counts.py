"""Events counted by segment and bucket, and the envelope such counts are served in."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, cast

from ..endpoints.params import parse_choice
from ..messages import Reply, Request, json_reply
from .events import Event
from .time_buckets import Buckets, scramble, scramble_keys

Kind = Literal["general", "unique", "average"]
KINDS_OF_COUNT = ("general", "unique", "average")

Counts = dict[str, dict[str, float]]
"""Segment -> bucket -> count."""


def parse_kind(request: Request, *, default: str | None = None) -> Kind:
    """Return whether events, people or events by person are counted.

    Raises:
        RefusedError: 400, it is missing without a default, or another word.
    """
    return cast("Kind", parse_choice(request, "type", KINDS_OF_COUNT, default=default))


def count_events(
    events: Iterable[Event],
    buckets: Buckets,
    *,
    kind: Kind,
    split: Callable[[Event], Iterable[str]],
) -> Counts:
    """Count events by segment and bucket; a bucket without events is absent.

    Args:
        events: What is counted.
        buckets: Where in time.
        kind: What is counted of them.
        split: The segments an event is in.
    """
    people: defaultdict[str, defaultdict[str, Counter[str]]]
    people = defaultdict(lambda: defaultdict(Counter))
    for event in events:
        key = buckets.key_of(event.local)
        for segment in split(event):
            people[segment][key][event.person] += 1
    return {
        segment: {key: measure(seen, kind) for key, seen in by_key.items()}
        for segment, by_key in people.items()
    }


def measure(people: Counter[str], kind: Kind) -> float:
    """Return the count of `kind` for how often each person did something."""
    if kind == "unique":
        return len(people)
    return people.total() / len(people) if kind == "average" else people.total()


def keep_top(counts: Counts, limit: int) -> Counts:
    """Return the segments that count most, `limit` of them."""
    largest = sorted(counts, key=lambda segment: (-sum(counts[segment].values()), segment))
    return {segment: counts[segment] for segment in largest[:limit]}


def fill(counts: Mapping[str, Mapping[str, float]], keys: Iterable[str]) -> Counts:
    """Return the counts with a 0 in each bucket that has none, and without other buckets."""
    wanted = list(keys)
    return {
        segment: {key: by_key.get(key, 0) for key in wanted} for segment, by_key in counts.items()
    }


def series_reply(request: Request, keys: Iterable[str], counts: Counts) -> Reply:
    """Return counts in the envelope of segmentation, or as CSV where `format` says so.

    Shape: {"data": {"series": [bucket], "values": {segment: {bucket: count}}}, "legend_size": int}
    """
    if request.params.get("format") == "csv":
        return _csv_reply(list(keys), counts)
    values = {segment: scramble_keys(by_key) for segment, by_key in scramble_keys(counts).items()}
    data = {"series": scramble(keys), "values": values}
    return json_reply({"data": data, "legend_size": len(values)})


def _csv_reply(keys: list[str], counts: Counts) -> Reply:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["date", *counts])
    for key in keys:
        writer.writerow([key, *(by_key.get(key, 0) for by_key in counts.values())])
    body = text.getvalue().encode("utf-8", "backslashreplace")
    return Reply(content_type="text/csv", blocks=(body,))
