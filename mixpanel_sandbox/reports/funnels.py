"""Funnels: how many users who completed the first step completed the next ones in time.

Source: https://developer.mixpanel.com/reference/funnels-query
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from ..context import Context
from ..endpoints.expression_values import UNDEFINED
from ..endpoints.params import (
    Properties,
    parse_choice,
    parse_count,
    parse_date_range,
    parse_id,
    parse_segmenter,
    parse_where,
    segments_of,
)
from ..messages import Request, Response, api_error, json_response
from .counts import OVERALL
from .events import Event, read_events
from .time_buckets import LONG_UNITS, TimeBuckets, shuffle_keys

MAX_LENGTH_S = 90 * 86_400
TOP_VALUES = 255
MAX_VALUES = 10_000

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}

Segmenter = Callable[[Properties], list[str]]
"""Returns the segments of an event."""
Attempt = Sequence[Event]
"""The events by which a user completed steps, in order, starting with the first step."""


@dataclass(frozen=True)
class _Query:
    """A saved funnel and the parameters of the request."""

    steps: Sequence[str]
    length_s: int
    """Maximum seconds from the first step to the last."""
    buckets: TimeBuckets
    matches: Callable[[Properties], bool]
    breakdowns: Sequence[Segmenter]


def list_funnels(context: Context, _request: Request) -> Response:
    """Return all saved funnels as a bare array.

    Source: https://developer.mixpanel.com/reference/funnels-list-saved
    """
    funnels = context.project.funnels
    return json_response(
        [{name: funnel[name] for name in ("funnel_id", "name")} for funnel in funnels]
    )


def query_funnel(context: Context, request: Request) -> Response:
    """Return how many users completed each step of a saved funnel, by bucket of the first step.

    A user counts once per bucket, with the attempt that completed the most steps. Later steps may
    happen after `to_date`, within the length of the funnel. Breakdowns that are saved with the
    funnel are nested, with `$overall` beside the values of each; `on` takes their place.

    Raises:
        ApiError: 400, a parameter is missing or invalid, or the funnel does not exist.
    """
    query = _parse_query(context, request)
    limit = parse_count(request, "limit", TOP_VALUES, maximum=MAX_VALUES)
    attempts = _find_attempts(context, query)
    dates = query.buckets.names()
    data: dict[str, Any] = {}
    for key in dates:
        steps = _nest(query.steps, attempts[key], query.breakdowns, limit)
        data[key] = steps if query.breakdowns else {"steps": steps, "analysis": _analyse(steps)}
    return json_response({"meta": {"dates": dates}, "data": shuffle_keys(data)})


def _parse_query(context: Context, request: Request) -> _Query:
    funnel_id = parse_id(request, "funnel_id")
    funnels = {funnel["funnel_id"]: funnel for funnel in context.project.funnels}
    first, last = parse_date_range(request, today=context.today())
    if funnel_id not in funnels:
        raise api_error(400, f"funnel_id {funnel_id} does not exist", request)
    funnel = funnels[funnel_id]
    length = parse_count(request, "length", funnel["length"])
    length_s = length * _SECONDS[parse_choice(request, "length_unit", _SECONDS, default="day")]
    if length_s > MAX_LENGTH_S:
        raise api_error(400, "Error in length: may not be greater than 90 days", request)
    if request.params.get("unit"):
        buckets = TimeBuckets(first, last, parse_choice(request, "unit", LONG_UNITS))
    else:
        buckets = TimeBuckets(first, last, "day", parse_count(request, "interval", 1))
    by_expression = parse_segmenter(request)
    saved = [partial(_segments_of_property, name=name) for name in funnel.get("on", ())]
    breakdowns = saved if by_expression is None else [by_expression]
    return _Query(funnel["steps"], length_s, buckets, parse_where(request), breakdowns)


def _segments_of_property(properties: Properties, *, name: str) -> list[str]:
    return segments_of(properties.get(name, UNDEFINED))


def _find_attempts(context: Context, query: _Query) -> defaultdict[str, list[Attempt]]:
    """Return the best attempt of each user, by bucket."""
    buckets = query.buckets
    until = buckets.last + timedelta(seconds=query.length_s) + timedelta(days=1)
    by_user: defaultdict[str, list[Event]] = defaultdict(list)
    for event in read_events(context, buckets.first, until, names=query.steps):
        if query.matches(event.properties):
            by_user[event.distinct_id].append(event)
    attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
    for events in by_user.values():
        best: dict[str, Attempt] = {}
        for number, event in enumerate(events):
            if event.name == query.steps[0] and event.local_time.date() <= buckets.last:
                key = buckets.key_of(event.local_time)
                attempt = _follow(events[number:], query)
                best[key] = max(best.get(key, ()), attempt, key=len)
        for key, attempt in best.items():
            attempts[key].append(attempt)
    return attempts


def _follow(events: Sequence[Event], query: _Query) -> Attempt:
    """Return the attempt that starts with the first of a user's events."""
    completed = [events[0]]
    end_s = events[0].time_s + query.length_s
    for event in events[1:]:
        if len(completed) == len(query.steps) or event.time_s > end_s:
            break
        if event.name == query.steps[len(completed)]:
            completed.append(event)
    return completed


def _split(
    attempts: Iterable[Attempt], segments: Segmenter, limit: int
) -> dict[str, list[Attempt]]:
    """Split attempts by the segments of their first step, keeping the `limit` largest."""
    split: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        for value in segments(attempt[0].properties):
            split[value].append(attempt)
    largest = sorted(split, key=lambda value: (-len(split[value]), value))
    return {value: split[value] for value in largest[:limit]}


def _nest(
    names: Sequence[str], attempts: Sequence[Attempt], breakdowns: Sequence[Segmenter], limit: int
) -> Any:  # noqa: ANN401 - a list of steps, or an object that nests them
    """Return the steps, nested by the values of each breakdown."""
    steps = _describe_steps(names, attempts)
    if not breakdowns:
        return steps
    split = _split(attempts, breakdowns[0], limit)
    by_value = {value: _nest(names, some, breakdowns[1:], limit) for value, some in split.items()}
    return shuffle_keys({**by_value, OVERALL: steps})


def _describe_steps(names: Sequence[str], attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    counts = [sum(len(attempt) > number for attempt in attempts) for number in range(len(names))]
    return [
        {
            "count": count,
            "avg_time": _mean_wait(attempts, number, number - 1) if number else None,
            "avg_time_from_start": _mean_wait(attempts, number, 0),
            "step_conv_ratio": _ratio(count, counts[number - 1]) if number else 1,
            "goal": name,
            "step_label": name,
            "overall_conv_ratio": _ratio(count, counts[0]) if number else 1,
            "event": name,
        }
        for number, (name, count) in enumerate(zip(names, counts, strict=True))
    ]


def _mean_wait(attempts: Iterable[Attempt], number: int, since: int) -> int | None:
    """Return the mean seconds between two steps; None if no user completed both."""
    waits = [
        attempt[number].time_s - attempt[since].time_s
        for attempt in attempts
        if len(attempt) > number
    ]
    return round(sum(waits) / len(waits)) if waits else None


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0


def _analyse(steps: Sequence[dict[str, Any]]) -> dict[str, int]:
    later = range(1, len(steps))
    return {
        "completion": steps[-1]["count"],
        "starting_amount": steps[0]["count"],
        "steps": len(steps),
        "worst": min(later, key=lambda number: float(steps[number]["step_conv_ratio"]), default=0),
    }
