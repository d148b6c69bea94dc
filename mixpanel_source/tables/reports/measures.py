"""Rows of numbers, and the texts that tell them apart.

Pure. Every text is injective: different paths in a reply never give the same text, whatever the
names and values in it, so that each number has a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from ...decode.json_values import dump_json, load_json
from ...decode.reply_values import is_number, iter_numbers, take_day, to_float, unexpected
from .rows import Measure, ReportQuery

OVERALL = "$overall"
"""Mixpanel's name for all users; also the segment of a report without a breakdown."""
AVERAGE = "$average"
"""Mixpanel's name for the mean over all buckets, where a bucket is named."""


def segment_text(levels: Sequence[str]) -> str:
    """The column `segment`: the only level, or JSON text of a list for several levels.

    A value that is such a list itself becomes a list of one, to tell it from several levels.
    """
    if not levels:
        return OVERALL
    if len(levels) == 1 and not _is_list_of_levels(levels[0]):
        return levels[0]
    return dump_json([*levels])


def metric_text(path: Sequence[str | int]) -> str:
    """The column `metric`: the path joined by dots.

    JSON text of a list if a name has a dot or is empty: an empty metric would be a tombstone.
    """
    if any(isinstance(part, str) and ("." in part or not part) for part in path):
        return dump_json([*path])
    return ".".join(map(str, path))


def named_numbers(
    day: date,
    key: str,
    segment: str,
    facts: Mapping[str, Any],
    *,
    step: int = 0,
    label: object = None,
) -> Iterator[Measure]:
    """A row for each number in an object, at any depth, named by its path."""
    text = label if isinstance(label, str) else None
    for path, value in iter_numbers(facts):
        yield Measure(day, key, segment, step, metric_text(path), text, value)


def measure(
    day: date, key: str, segment: str, value: object, *, metric: str, step: int = 0
) -> Iterator[Measure]:
    """A row for a number; none for null.

    Raises:
        ReplyError: it is another value.
    """
    if value is None:
        return
    if not is_number(value):
        raise unexpected("numbers by date")
    yield Measure(day, key, segment, step, metric, None, to_float(value))


def bucket_day(key: str, query: ReportQuery) -> date:
    """The day of a bucket; for the mean over all buckets the last day requested.

    Raises:
        ReplyError: the key has no day.
    """
    if key == AVERAGE:
        return query.window.last if query.window else query.today
    return take_day(key)


def _is_list_of_levels(text: str) -> bool:
    if not text.startswith("["):
        return False
    try:
        levels = load_json(text)
    except ValueError:
        return False
    return bool(levels) and all(isinstance(level, str) for level in levels)
