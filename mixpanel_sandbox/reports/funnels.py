"""Funnels: how many of those who took the first step took the next ones in time.

Source: https://developer.mixpanel.com/reference/funnels-query
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..context import World
from ..endpoints.params import (
    Properties,
    parse_choice,
    parse_count,
    parse_days,
    parse_id,
    parse_segments,
    parse_where,
)
from ..messages import Reply, Request, json_reply, refused
from .events import Event, read_events
from .time_buckets import LONG_UNITS, Buckets, scramble_keys

MAX_LENGTH_S = 90 * 86_400
TOP_VALUES = 255
MAX_VALUES = 10_000
OVERALL = "$overall"

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}

Attempt = Sequence[Event]
"""The events of one person that were a step each, from the first on."""


@dataclass(frozen=True)
class _Question:
    """A funnel and what is asked of it."""

    steps: Sequence[str]
    length_s: int
    """From the first step to the last."""
    buckets: Buckets
    keep: Callable[[Properties], bool]


def list_funnels(world: World, _request: Request) -> Reply:
    """Answer with all saved funnels as a bare array.

    Source: https://developer.mixpanel.com/reference/funnels-list-saved
    """
    funnels = world.project.funnels
    return json_reply([{name: one[name] for name in ("funnel_id", "name")} for one in funnels])


def query_funnel(world: World, request: Request) -> Reply:
    """Answer how far people came in a saved funnel, by the bucket of their first step.

    Somebody is counted once in each bucket, with the attempt that came furthest. Steps are looked
    for after `to_date` too, for as long as the funnel is.

    Raises:
        RefusedError: 400, a parameter is missing or wrong, or there is no such funnel.
    """
    question = _parse_question(world, request)
    segments = parse_segments(request)
    limit = parse_count(request, "limit", TOP_VALUES, maximum=MAX_VALUES)
    attempts = _find_attempts(world, question)
    dates = question.buckets.names()
    data: dict[str, Any] = {}
    for key in dates:
        steps = _describe_steps(question.steps, attempts[key])
        if segments is None:
            data[key] = {"steps": steps, "analysis": _analyse(steps)}
        else:
            split = _split(attempts[key], segments, limit)
            by_value = {value: _describe_steps(question.steps, of) for value, of in split.items()}
            data[key] = scramble_keys({**by_value, OVERALL: steps})
    return json_reply({"meta": {"dates": dates}, "data": scramble_keys(data)})


def _parse_question(world: World, request: Request) -> _Question:
    funnel_id = parse_id(request, "funnel_id")
    found = [one for one in world.project.funnels if one["funnel_id"] == funnel_id]
    first, last = parse_days(request, today=world.today())
    if not found:
        raise refused(400, f"funnel_id {funnel_id} does not exist", request)
    length = parse_count(request, "length", found[0]["length"])
    length_s = length * _SECONDS[parse_choice(request, "length_unit", _SECONDS, default="day")]
    if length_s > MAX_LENGTH_S:
        raise refused(400, "Error in length: may not be greater than 90 days", request)
    if request.params.get("unit"):
        buckets = Buckets(first, last, parse_choice(request, "unit", LONG_UNITS))
    else:
        buckets = Buckets(first, last, "day", parse_count(request, "interval", 1))
    return _Question(found[0]["steps"], length_s, buckets, parse_where(request))


def _find_attempts(world: World, question: _Question) -> defaultdict[str, list[Attempt]]:
    """Return by bucket the best attempt of everybody who made one."""
    buckets = question.buckets
    until = buckets.last + timedelta(seconds=question.length_s) + timedelta(days=1)
    people: defaultdict[str, list[Event]] = defaultdict(list)
    for event in read_events(world, buckets.first, until, names=question.steps):
        if question.keep(event.properties):
            people[event.person].append(event)
    attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
    for events in people.values():
        best: dict[str, Attempt] = {}
        for number, event in enumerate(events):
            if event.name == question.steps[0] and event.local.date() <= buckets.last:
                key = buckets.key_of(event.local)
                attempt = _follow(events[number:], question)
                best[key] = max(best.get(key, ()), attempt, key=len)
        for key, attempt in best.items():
            attempts[key].append(attempt)
    return attempts


def _follow(events: Sequence[Event], question: _Question) -> Attempt:
    """Return how far an attempt comes that starts with the first of some events."""
    taken = [events[0]]
    end_s = events[0].time_s + question.length_s
    for event in events[1:]:
        if len(taken) == len(question.steps) or event.time_s > end_s:
            break
        if event.name == question.steps[len(taken)]:
            taken.append(event)
    return taken


def _split(
    attempts: Iterable[Attempt], segments: Callable[[Properties], list[str]], limit: int
) -> dict[str, list[Attempt]]:
    """Return the attempts by the segments of their first step, those with most of them."""
    split: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        for value in segments(attempt[0].properties):
            split[value].append(attempt)
    largest = sorted(split, key=lambda value: (-len(split[value]), value))
    return {value: split[value] for value in largest[:limit]}


def _describe_steps(names: Sequence[str], attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    counts = [sum(len(attempt) > number for attempt in attempts) for number in range(len(names))]
    return [
        {
            "count": count,
            "avg_time": _mean_wait(attempts, number, number - 1) if number else None,
            "avg_time_from_start": _mean_wait(attempts, number, 0),
            "step_conv_ratio": _share(count, counts[number - 1]) if number else 1,
            "goal": name,
            "step_label": name,
            "overall_conv_ratio": _share(count, counts[0]) if number else 1,
            "event": name,
        }
        for number, (name, count) in enumerate(zip(names, counts, strict=True))
    ]


def _mean_wait(attempts: Iterable[Attempt], number: int, since: int) -> int | None:
    """Return the mean of the seconds between two steps; None where nobody took both."""
    waits = [one[number].time_s - one[since].time_s for one in attempts if len(one) > number]
    return round(sum(waits) / len(waits)) if waits else None


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0


def _analyse(steps: Sequence[dict[str, Any]]) -> dict[str, int]:
    later = range(1, len(steps))
    return {
        "completion": steps[-1]["count"],
        "starting_amount": steps[0]["count"],
        "steps": len(steps),
        "worst": min(later, key=lambda number: float(steps[number]["step_conv_ratio"]), default=0),
    }
