"""The shape of replies of funnels, with any number of breakdowns.

Pure. Source: https://developer.mixpanel.com/reference/funnels-query.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard

from ...decode.reply_values import part_of, take_day, take_object, unexpected
from .measures import named_numbers, segment_text
from .rows import Measure, ReportQuery

STEPS = "steps"
_A_FUNNEL = "a funnel with steps"

Levels = tuple[str, ...]


class _Funnel(NamedTuple):
    """The steps of a funnel, in a bucket and a segment."""

    levels: Levels
    steps: list[Any]
    facts: Mapping[str, Any]
    """Numbers of the whole funnel."""


def parse_funnel(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """The numbers of `{"data": {date: {"steps": [step], "analysis": {...}}}}`.

    With breakdowns, a date has an object for each level, whose keys are values of the property and
    `$overall`; the innermost values are lists of steps, or objects as above.

    Raises:
        ReplyError: the reply has another shape.
    """
    data = take_object(part_of(reply, "data"), "an object with data")
    buckets = {key: take_object(found, "a funnel by date") for key, found in data.items()}
    has_objects = _has_objects([*buckets.values()], with_breakdown="on" in query.params)
    for key, bucket in buckets.items():
        day = take_day(key)
        for levels, steps, facts in _iter_funnels(bucket, has_objects=has_objects):
            segment = segment_text(levels)
            yield from named_numbers(day, key, segment, facts)
            for number, step in enumerate(steps, 1):
                numbers = take_object(step, _A_FUNNEL)
                label = numbers.get("step_label") or numbers.get("event") or numbers.get("goal")
                yield from named_numbers(day, key, segment, numbers, step=number, label=label)


def _has_objects(buckets: Collection[Mapping[str, Any]], *, with_breakdown: bool) -> bool:
    """Whether steps are under the key `steps` of an object, rather than directly in a segment.

    A property value may be called `steps` too. Then other segments of the reply are lists as well,
    at the least that of `$overall`.
    """
    if with_breakdown and any(
        STEPS in bucket and all(isinstance(inner, list) for inner in bucket.values())
        for bucket in buckets
    ):
        return False
    lists = {path: steps for bucket in buckets for path, steps in _iter_lists(bucket)}
    filled = [path for path, steps in lists.items() if steps]
    return all(path[-1] == STEPS for path in filled or lists)


def _iter_lists(node: object, path: Levels = ()) -> Iterator[tuple[Levels, list[Any]]]:
    """The lists of steps in a bucket, each after the keys that lead to it.

    Without those of objects that an analysis tells from segments.
    """
    if _is_analysed(node):
        return
    if isinstance(node, dict):
        for key, inner in node.items():
            yield from _iter_lists(inner, (*path, key))
    elif isinstance(node, list) and all(isinstance(step, dict) for step in node):
        yield path, node


def _is_analysed(node: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether an object is a funnel: as segments, its values would be of the same kind."""
    return (
        isinstance(node, dict)
        and isinstance(node.get(STEPS), list)
        and isinstance(node.get("analysis"), dict)
    )


def _iter_funnels(node: object, *, has_objects: bool, levels: Levels = ()) -> Iterator[_Funnel]:
    if isinstance(node, list):
        if has_objects and node:
            raise unexpected(_A_FUNNEL)
        yield _Funnel(levels, node, {})
        return
    segments = take_object(node, _A_FUNNEL)
    if _is_analysed(segments) or (has_objects and isinstance(segments.get(STEPS), list)):
        facts = {name: fact for name, fact in segments.items() if name != STEPS}
        if not _is_analysed(segments) and any(steps for _, steps in _iter_lists(facts)):
            raise unexpected(_A_FUNNEL)
        yield _Funnel(levels, segments[STEPS], facts)
        return
    if levels and not segments:
        raise unexpected(_A_FUNNEL)
    for value, inner in segments.items():
        yield from _iter_funnels(inner, has_objects=has_objects, levels=(*levels, value))
