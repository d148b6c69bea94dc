"""The shapes of replies of retention and frequency, with any number of breakdowns.

Pure. Sources: https://developer.mixpanel.com/reference/retention-query,
https://developer.mixpanel.com/reference/retention-frequency-query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...decode.reply_values import is_number, part_of, take_list, take_object
from .measures import bucket_day, measure, metric_text, named_numbers, segment_text
from .rows import Measure, ReportQuery

COUNTS = "counts"

Levels = tuple[str, ...]


def parse_retention(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """The numbers of `{date: {"counts": [number], "first": number}}`.

    With breakdowns, a date has an object for each level, whose keys are values of the property and
    `$overall`. The key `$average` stands for the mean over all dates.

    Raises:
        ReplyError: the reply has another shape.
    """
    for key, found in take_object(reply, "retention by date").items():
        day = bucket_day(key, query)
        for levels, cell in _iter_cells(found):
            segment = segment_text(levels)
            for name, fact in cell.items():
                if name != COUNTS and not _is_numbers(fact):
                    yield from named_numbers(day, key, segment, {name: fact})
                    continue
                metric = "count" if name == COUNTS else metric_text([name])
                for step, value in enumerate(fact):
                    yield from measure(day, key, segment, value, metric=metric, step=step)


def parse_frequency(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """The numbers of `{"data": {date: [number]}}`.

    With breakdowns, a date has an object for each level, as in retention.

    Raises:
        ReplyError: the reply has another shape.
    """
    for key, found in take_object(part_of(reply, "data"), "an object with data").items():
        day = bucket_day(key, query)
        for levels, counts in _iter_lists(found):
            for step, value in enumerate(counts, 1):
                segment = segment_text(levels)
                yield from measure(day, key, segment, value, metric="count", step=step)


def _iter_cells(node: object, levels: Levels = ()) -> Iterator[tuple[Levels, Mapping[str, Any]]]:
    """The cells, each after its segment; a segment may be called `counts`, but holds no list."""
    found = take_object(node, "retention with counts")
    if isinstance(found.get(COUNTS), list):
        yield levels, found
        return
    if levels and not found:
        take_list(found.get(COUNTS), "retention with counts")
    for value, inner in found.items():
        yield from _iter_cells(inner, (*levels, value))


def _iter_lists(node: object, levels: Levels = ()) -> Iterator[tuple[Levels, list[Any]]]:
    if isinstance(node, list):
        yield levels, node
        return
    for value, inner in take_object(node, "frequency with counts").items():
        yield from _iter_lists(inner, (*levels, value))


def _is_numbers(fact: object) -> bool:
    return isinstance(fact, list) and all(item is None or is_number(item) for item in fact)
