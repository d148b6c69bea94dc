"""The shape of replies of saved reports: `series`, nested by metric, breakdowns and time.

Pure. Which level is time follows from the whole reply, see `time_level`.

Source: https://developer.mixpanel.com/reference/insights-query.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from ...decode.reply_values import (
    find_day,
    is_number,
    iter_numbers,
    part_of,
    take_day,
    take_object,
    to_float,
    unexpected,
)
from .measures import metric_text, segment_text
from .rows import Measure, ReportQuery
from .time_level import Frame, Keys, find_time_level, split_time

COMPARISON = "time_comparison"
VALUE = "value"
"""Metric of a number that is directly under its keys."""


class _Cell(NamedTuple):
    """A number, or a number of an object with lists, as in saved retention reports."""

    keys: Keys
    """Metric, values of breakdowns, time."""
    inner: tuple[str | int, ...]
    """Where in the object it is; empty for a number."""
    value: float


def parse_insights(reply: object, _query: ReportQuery) -> Iterator[Measure]:
    """The numbers of `{"date_range": {...}, "series": {metric: {value: {time: number}}}}`.

    What is not under a time is filed under the last day of the range. In a saved retention report
    the innermost value is an object with lists: its names are the metrics, positions the steps.

    A comparison with an earlier period has metrics of its own. Its numbers are filed under the days
    that they are compared with, because rows of the earlier days are those of earlier loads.

    Raises:
        ReplyError: the reply has another shape.
    """
    first, last = range_of(reply)
    yield from _parse_series(part_of(reply, "series"), _frame_of(reply, reply))
    earlier = part_of(reply, COMPARISON)
    if not isinstance(earlier, dict) or "series" not in earlier:
        return
    has_range = isinstance(earlier.get("date_range"), dict)
    frame = _frame_of(reply, earlier if has_range else reply)
    rows = [*_parse_series(earlier["series"], frame)]
    since = frame.first if has_range else min((row.date for row in rows), default=first)
    for row in rows:
        day = min(max(row.date + (first - since), first), last)
        yield row._replace(date=day, metric=f"{COMPARISON}.{row.metric}")


def range_of(reply: object) -> tuple[date, date]:
    """The first and last day of a saved report.

    Raises:
        ReplyError: it has none.
    """
    days = take_object(part_of(reply, "date_range"), "a report with date_range")
    first, last = take_day(days.get("from_date")), take_day(days.get("to_date"))
    if last < first:
        raise unexpected("a report with date_range")
    return first, last


def headers_of(reply: object) -> list[str] | None:
    """The names of the levels above the time; None if the reply does not name them."""
    headers = part_of(reply, "headers")
    if isinstance(headers, list) and headers and all(isinstance(name, str) for name in headers):
        return headers
    return None


def _frame_of(reply: object, ranged: object) -> Frame:
    starts_at = take_object(part_of(ranged, "date_range"), "a report with date_range")["from_date"]
    return Frame(headers_of(reply), starts_at, *range_of(ranged))


def _parse_series(series: object, frame: Frame) -> Iterator[Measure]:
    cells = [*_iter_cells(take_object(series, "a report with series"))]
    level = find_time_level({cell.keys for cell in cells}, frame)
    for keys, inner, value in cells:
        levels, bucket = split_time(keys, level, frame)
        day = find_day(bucket)
        metric, step = _split_step(inner)
        yield Measure(
            day or frame.last,
            bucket or str(frame.last),
            segment_text(levels),
            step,
            metric,
            None,
            value,
        )


def _iter_cells(value: object, keys: Keys = ()) -> Iterator[_Cell]:
    """The numbers; an object that holds a list is not a level, since values have none."""
    if is_number(value):
        yield _Cell(keys, (), to_float(value))
    elif isinstance(value, dict):
        if any(isinstance(inner, list) for inner in value.values()):
            for path, number in iter_numbers(value):
                yield _Cell(keys, path, number)
            return
        for key, inner in value.items():
            yield from _iter_cells(inner, (*keys, key))


def _split_step(inner: tuple[str | int, ...]) -> tuple[str, int]:
    """The metric of a number within an object, and its position in the innermost list."""
    places = [place for place, part in enumerate(inner) if isinstance(part, int)]
    if not places:
        return metric_text(inner) or VALUE, 0
    place = places[-1]
    return metric_text((*inner[:place], *inner[place + 1 :])) or VALUE, int(inner[place])
