"""Turns replies of reports into rows, one function for each shape of reply.

Pure. Each number of a reply is in exactly one row, and rows are sorted, whatever the order of the
reply. A shape that the reference does not document raises a `ReplyError`. Shapes with breakdowns
have modules of their own.

Source: https://developer.mixpanel.com/reference/query-api, and the page of each endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from ...decode.json_values import dump_json
from ...decode.reply_values import (
    part_of,
    take_day,
    take_list,
    take_moment,
    take_object,
    text_of,
    unexpected,
)
from ...decode.row_shape import NOT_AN_OBJECT, RejectedRow, find_problem
from ...decode.value_types import EVENT
from ...errors import ReplyError
from ...windows import iter_days
from .cohort_shapes import parse_frequency, parse_retention
from .funnel_shape import parse_funnel
from .insights_shape import parse_insights, range_of
from .measures import measure, named_numbers, segment_text
from .rows import Activity, Item, Measure, Name, ReportQuery, Rows

SAVED = ("insights", "insights_queries")
"""Tables whose replies name their days and breakdowns."""
METRICS = {"general": "count", "unique": "unique", "average": "average"}
"""Parameter `type` -> the metric."""


class ParsedReport(NamedTuple):
    """A reply, parsed."""

    rows: Rows
    """Sorted."""
    rejected: list[RejectedRow]
    """Entries of a list of events that are no events."""


def parse_report(reply: object, query: ReportQuery) -> ParsedReport:
    """The rows of a reply.

    Raises:
        ReplyError: the reply has another shape than the page of the endpoint documents.
    """
    try:
        parsed = [*_SHAPES[query.table](reply, query)]
    except RecursionError:
        raise unexpected("of a depth that can be read") from None
    rejected = [row for row in parsed if isinstance(row, RejectedRow)]
    rows = [row for row in parsed if not isinstance(row, RejectedRow)]
    # the first fields identify a row; later ones may not be comparable
    return ParsedReport(sorted(rows, key=lambda row: row[:5]), rejected)


def days_of(reply: object, query: ReportQuery) -> list[date]:
    """The days that a reply covers, with or without numbers for them.

    Raises:
        ReplyError: a saved report has no range.
    """
    if query.window is not None:
        return [*query.window.days]
    if query.table not in SAVED:
        return [query.today]
    return [*iter_days(*range_of(reply))]


def _series(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """`{"data": {"series": [key], "values": {segment: {key: number}}}}`."""
    data = take_object(part_of(reply, "data"), "an object with data")
    metric = METRICS.get(query.params.get("type", "general"), "count")
    for segment, by_key in take_object(data.get("values"), "a series with values").items():
        for key, value in take_object(by_key, "a series with values by date").items():
            text = segment_text([segment])
            yield from measure(take_day(key), key, text, value, metric=metric)


def _results(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """`{"results": {key: number}}`."""
    results = take_object(part_of(reply, "results"), "an object with results")
    metric = query.table.rpartition("_")[2]
    event = segment_text([query.params.get("event", "")])
    for key, value in results.items():
        yield from measure(take_day(key), key, event, value, metric=metric)


def _top_events(reply: object, query: ReportQuery) -> Iterator[Measure | RejectedRow]:
    """`{"events": [{"event": name, "amount": number, ...}], "type": ...}`."""
    events = take_list(part_of(reply, "events"), "an object with events")
    for event in events:
        if isinstance(event, dict):
            name = segment_text([text_of(event.get("event"))])
            yield from named_numbers(query.today, str(query.today), name, event)
        else:
            yield RejectedRow(NOT_AN_OBJECT, event)


def _top_properties(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """`{name: {"count": number}}`; some have no count."""
    key = str(query.today)
    for name, found in take_object(reply, "an object of properties").items():
        facts = take_object(found, "an object of properties")
        segment = segment_text([name])
        if "count" not in facts:
            yield Measure(query.today, key, segment, 0, "count", None, None)
        yield from named_numbers(query.today, key, segment, facts)


def _names(reply: object, _query: ReportQuery) -> Iterator[Name]:
    """`[name]`."""
    for position, name in enumerate(take_list(reply, "a list of names"), 1):
        yield Name(position, name if isinstance(name, str) else dump_json(name))


def _activity(reply: object, query: ReportQuery) -> Iterator[Activity | RejectedRow]:
    """`{"results": {"events": [{"event": name, "properties": {"time": seconds, ...}}]}}`.

    The user's id is called `$distinct_id` in some events and `distinct_id` in others.
    """
    results = take_object(part_of(reply, "results"), "an object with results")
    positions: dict[date, int] = {}
    for event in take_list(results.get("events"), "an object with events"):
        if problem := find_problem(event, EVENT):
            yield RejectedRow(problem, event)
            continue
        properties = event["properties"]
        try:
            day, time = take_moment(properties.get("time"), query.zone)
        except ReplyError:
            yield RejectedRow("time is not a time", event)
            continue
        if query.window is not None and not query.window.first <= day <= query.window.last:
            continue
        positions[day] = positions.get(day, 0) + 1
        found = properties.get("$distinct_id", properties.get("distinct_id"))
        yield Activity(
            day,
            positions[day],
            time,
            event["event"],
            None if found is None else text_of(found),
            dump_json(properties),
        )


def _flows(reply: object, _query: ReportQuery) -> Iterator[Item]:
    """`{name: [anything] or anything}`: each entry of a list, and each other value."""
    members = take_object(reply, "an object with steps")
    if not any(isinstance(value, list) for value in members.values()):
        raise unexpected("an object with steps")
    entries = (
        (name, entry)
        for name, value in members.items()
        for entry in (value if isinstance(value, list) else [value])
    )
    for position, (name, entry) in enumerate(entries, 1):
        yield Item(position, dump_json({name: entry}))


def _items(reply: object, _query: ReportQuery) -> Iterator[Item]:
    """`[anything]`."""
    for position, row in enumerate(take_list(reply, "a list"), 1):
        yield Item(position, dump_json(row))


_SHAPES: Mapping[str, Callable[[object, ReportQuery], Iterator[Any]]] = {
    "funnels": parse_funnel,
    "insights": parse_insights,
    "insights_queries": parse_insights,
    "flows": _flows,
    "segmentation": _series,
    "segmentation_numeric": _series,
    "segmentation_sum": _results,
    "segmentation_average": _results,
    "retention": parse_retention,
    "frequency": parse_frequency,
    "event_counts": _series,
    "event_properties": _series,
    "top_events": _top_events,
    "event_names": _names,
    "top_properties": _top_properties,
    "property_values": _names,
    "activity": _activity,
    "jql": _items,
}
"""Table -> the function for the shape of its replies."""
