"""Turns replies of reports into rows, one function for each shape of reply.

Pure. Each number of a reply is in exactly one row, and rows are sorted, whatever the order of the
reply. A shape that the reference does not document raises a `TruncatedError`, because the likeliest
cause is a reply that was cut short or replaced on its way.

Source: https://developer.mixpanel.com/reference/query-api, and the page of each endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from ...decode.json_values import dump_json
from ...decode.reply_values import (
    find_day,
    is_number,
    iter_numbers,
    part_of,
    take_day,
    take_list,
    take_moment,
    take_object,
    text_of,
    to_float,
    unexpected,
)
from ...windows import iter_days
from .rows import Activity, Item, Measure, Name, ReportQuery, Rows

OVERALL = "$overall"
"""Mixpanel's name for the segment of all users, in a report without a breakdown."""
METRICS = {"general": "count", "unique": "unique", "average": "average"}
"""Parameter `type` -> the metric."""


def parse_report(reply: object, query: ReportQuery) -> Rows:
    """The rows of a reply, sorted.

    Raises:
        TruncatedError: the reply has another shape than the page of the endpoint documents.
    """
    try:
        rows = [*_SHAPES[query.table](reply, query)]
    except RecursionError:
        raise unexpected("of a depth that can be read") from None
    # the first fields identify a row; later ones may not be comparable
    return sorted(rows, key=lambda row: row[:5])


def days_of(reply: object, query: ReportQuery) -> list[date]:
    """The days that a reply covers, with or without numbers for them."""
    if query.window is not None:
        return [*query.window.days]
    if query.table != "insights":
        return [query.today]
    first, last = _range_of(reply)
    return [*iter_days(first, last)]


def _series(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """`{"data": {"series": [key], "values": {segment: {key: number}}}}`."""
    data = take_object(part_of(reply, "data"), "an object with data")
    metric = METRICS.get(query.params.get("type", "general"), "count")
    for segment, by_key in take_object(data.get("values"), "a series with values").items():
        for key, value in take_object(by_key, "a series with values by date").items():
            yield from _measure(key, segment, value, metric=metric)


def _results(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """`{"results": {key: number}}`."""
    results = take_object(part_of(reply, "results"), "an object with results")
    metric = query.table.rpartition("_")[2]
    for key, value in results.items():
        yield from _measure(key, query.params.get("event", ""), value, metric=metric)


def _funnel(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """`{"data": {key: {"steps": [step], ...}}}`, or with `on` `{key: {segment: [step]}}`."""
    data = take_object(part_of(reply, "data"), "an object with data")
    for key, found in data.items():
        bucket = take_object(found, "a funnel by date")
        split = bucket if "on" in query.params or "steps" not in bucket else {OVERALL: bucket}
        for segment, funnel in split.items():
            steps, rest = _split_steps(funnel)
            yield from _named_numbers(key, segment, rest)
            for number, step in enumerate(take_list(steps, "a funnel with steps"), 1):
                facts = take_object(step, "a funnel with steps")
                label = facts.get("step_label") or facts.get("event") or facts.get("goal")
                yield from _named_numbers(key, segment, facts, step=number, label=label)


def _split_steps(funnel: object) -> tuple[object, dict[str, Any]]:
    """The steps of a funnel, and the numbers of the whole funnel; a list is the steps alone."""
    if not isinstance(funnel, dict):
        return funnel, {}
    return funnel.get("steps"), {key: v for key, v in funnel.items() if key != "steps"}


def _insights(reply: object, _query: ReportQuery) -> Iterator[Measure]:
    """`{"date_range": {...}, "series": {segment: {... {key: number}}}}`, of any depth.

    What is below the date, as in saved retention reports, is the metric or a list of steps. A
    report that is no time series has no dates: it is filed under the last day of its range.
    """
    series = take_object(part_of(reply, "series"), "a report with series")
    for path, value in iter_numbers(series):
        dated = [place for place, part in enumerate(path) if find_day(part) is not None]
        if dated:
            bucket, above, below = str(path[dated[-1]]), path[: dated[-1]], path[dated[-1] + 1 :]
        else:
            bucket, above, below = str(_range_of(reply)[1]), path, ()
        steps = [part for part in below if isinstance(part, int)]
        metric = ".".join(part for part in below if isinstance(part, str)) or "value"
        segments = [*map(str, above), *map(str, steps[:-1])]
        step = steps[-1] if steps else 0
        yield Measure(take_day(bucket), bucket, _segment(segments), step, metric, None, value)


def _retention(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """`{key: {"counts": [number], "first": number}}`, or with `on` `{key: {segment: {...}}}`."""
    for key, found in take_object(reply, "retention by date").items():
        bucket = take_object(found, "retention by date")
        plain = "on" not in query.params or isinstance(bucket.get("counts"), list)
        for segment, cell in ({OVERALL: bucket} if plain else bucket).items():
            facts = dict(take_object(cell, "retention by segment"))
            counts = take_list(facts.pop("counts", None), "retention with counts")
            yield from _named_numbers(key, segment, facts)
            for step, value in enumerate(counts):
                yield from _measure(key, segment, value, metric="count", step=step)


def _frequency(reply: object, _query: ReportQuery) -> Iterator[Measure]:
    """`{"data": {key: [number]}}`, or with `on` `{key: {segment: [number]}}`."""
    for key, found in take_object(part_of(reply, "data"), "an object with data").items():
        by_segment = {OVERALL: found} if isinstance(found, list) else found
        for segment, counts in take_object(by_segment, "frequency by date").items():
            for step, value in enumerate(take_list(counts, "frequency with counts"), 1):
                yield from _measure(key, segment, value, metric="count", step=step)


def _top_events(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """`{"events": [{"event": name, "amount": number, ...}], "type": ...}`."""
    events = take_list(part_of(reply, "events"), "an object with events")
    for event in events:
        facts = take_object(event, "a list of events")
        yield from _named_numbers(str(query.today), text_of(facts.get("event")), facts)


def _top_properties(reply: object, query: ReportQuery) -> Iterator[Measure]:
    """`{name: {"count": number}}`; some have no count."""
    key = str(query.today)
    for name, found in take_object(reply, "an object of properties").items():
        facts = take_object(found, "an object of properties")
        if "count" not in facts:
            yield Measure(query.today, key, name, 0, "count", None, None)
        yield from _named_numbers(key, name, facts)


def _names(reply: object, _query: ReportQuery) -> Iterator[Name]:
    """`[name]`."""
    for position, name in enumerate(take_list(reply, "a list of names"), 1):
        yield Name(position, name if isinstance(name, str) else dump_json(name))


def _activity(reply: object, query: ReportQuery) -> Iterator[Activity]:
    """`{"results": {"events": [{"event": name, "properties": {"time": seconds, ...}}]}}`.

    The user's id is called `$distinct_id` in some events and `distinct_id` in others.
    """
    results = take_object(part_of(reply, "results"), "an object with results")
    positions: dict[date, int] = {}
    for event in take_list(results.get("events"), "an object with events"):
        facts = take_object(event, "a list of events")
        properties = take_object(facts.get("properties"), "a list of events with properties")
        day, time = take_moment(properties.get("time"), query.zone)
        if query.window is not None and not query.window.first <= day <= query.window.last:
            continue
        positions[day] = positions.get(day, 0) + 1
        found = properties.get("$distinct_id", properties.get("distinct_id"))
        yield Activity(
            day,
            positions[day],
            time,
            text_of(facts.get("event")),
            None if found is None else text_of(found),
            dump_json(properties),
        )


def _items(reply: object, _query: ReportQuery) -> Iterator[Item]:
    """`[anything]`."""
    for position, row in enumerate(take_list(reply, "a list"), 1):
        yield Item(position, dump_json(row))


_SHAPES: Mapping[str, Callable[[object, ReportQuery], Iterator[Any]]] = {
    "funnels": _funnel,
    "insights": _insights,
    "segmentation": _series,
    "segmentation_numeric": _series,
    "segmentation_sum": _results,
    "segmentation_average": _results,
    "retention": _retention,
    "frequency": _frequency,
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


def _named_numbers(
    key: str, segment: str, facts: Mapping[str, Any], *, step: int = 0, label: object = None
) -> Iterator[Measure]:
    """A row for each number in an object, at any depth, named by its path."""
    text = label if isinstance(label, str) else None
    for path, value in iter_numbers(facts):
        metric = ".".join(map(str, path))
        yield Measure(take_day(key), key, segment, step, metric, text, value)


def _measure(
    key: str, segment: str, value: object, *, metric: str, step: int = 0
) -> Iterator[Measure]:
    """A row for a number; none for null."""
    if value is None:
        return
    if not is_number(value):
        raise unexpected("numbers by date")
    yield Measure(take_day(key), key, segment, step, metric, None, to_float(value))


def _segment(levels: list[str]) -> str:
    if len(levels) > 1:
        return dump_json(levels)
    return levels[0] if levels else OVERALL


def _range_of(reply: object) -> tuple[date, date]:
    said = take_object(part_of(reply, "date_range"), "a report with date_range")
    first, last = take_day(said.get("from_date")), take_day(said.get("to_date"))
    if last < first:
        raise unexpected("a report with date_range")
    return first, last
