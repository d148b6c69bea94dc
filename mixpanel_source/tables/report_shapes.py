"""Replies of reports into rows, whatever their shape.

Pure. A number of a reply is in exactly one row, and rows are in order, however the reply is. What
is not the shape that the reference documents raises a `TruncatedError`, for a reply cut short or
replaced on its way is the likeliest cause.

Source: https://developer.mixpanel.com/reference/query-api, and the page of each endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from ..decode.json_values import dump_json
from ..decode.reply_values import (
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
from ..windows import Window, iter_days

OVERALL = "$overall"
"""The segment of everybody, as Mixpanel calls it, where a report is not broken down."""
METRICS = {"general": "count", "unique": "unique", "average": "average"}
"""Parameter `type` -> what is measured."""


class ReportQuery(NamedTuple):
    """What of the request it takes to read the reply."""

    table: str
    params: Mapping[str, str]
    today: date
    """In the project's zone; the day of what says no day itself."""
    zone: str = "UTC"
    """Of the times in the reply."""
    window: Window | None = None
    """The days that are wanted; all that come, if None."""


class Measure(NamedTuple):
    """A number of a report."""

    date: date
    """The day on which the bucket starts."""
    bucket: str
    """The bucket as the reply names it."""
    segment: str
    """The value broken down by, or what was measured; JSON text of a list where there are more."""
    step: int
    metric: str
    label: str | None
    """Of a funnel's step, the event."""
    value: float | None


class Name(NamedTuple):
    """A name, in the order of the reply."""

    position: int
    """From 1."""
    name: str


class Activity(NamedTuple):
    """An event of a user's feed."""

    date: date
    """Of `time` as Mixpanel gives it."""
    position: int
    """Among those of the day, from 1."""
    time: datetime
    event: str
    distinct_id: str | None
    properties: str
    """JSON text."""


class Item(NamedTuple):
    """What a script has put out."""

    position: int
    """From 1."""
    row: str
    """JSON text."""


Rows = Sequence[Measure | Name | Activity | Item]


def parse_report(reply: object, asked: ReportQuery) -> Rows:
    """The rows of a reply, in order.

    Raises:
        TruncatedError: it has another shape than the page of the endpoint says.
    """
    try:
        rows = [*_SHAPES[asked.table](reply, asked)]
    except RecursionError:
        raise unexpected("of a depth that can be read") from None
    # what comes first in a row tells it apart; what comes after may not be comparable
    return sorted(rows, key=lambda row: row[:5])


def days_of(reply: object, asked: ReportQuery) -> list[date]:
    """The days that a reply speaks for, whether or not it has a number of them."""
    if asked.window is not None:
        return [*asked.window.days]
    if asked.table != "insights":
        return [asked.today]
    first, last = _range_of(reply)
    return [*iter_days(first, last)]


def _series(reply: object, asked: ReportQuery) -> Iterator[Measure]:
    """`{"data": {"series": [key], "values": {segment: {key: number}}}}`."""
    data = take_object(part_of(reply, "data"), "an object with data")
    metric = METRICS.get(asked.params.get("type", "general"), "count")
    for segment, by_key in take_object(data.get("values"), "a series with values").items():
        for key, value in take_object(by_key, "a series with values by date").items():
            yield from _measure(key, segment, value, metric=metric)


def _results(reply: object, asked: ReportQuery) -> Iterator[Measure]:
    """`{"results": {key: number}}`."""
    results = take_object(part_of(reply, "results"), "an object with results")
    metric = asked.table.rpartition("_")[2]
    for key, value in results.items():
        yield from _measure(key, asked.params.get("event", ""), value, metric=metric)


def _funnel(reply: object, asked: ReportQuery) -> Iterator[Measure]:
    """`{"data": {key: {"steps": [step], ...}}}`, or with `on` `{key: {segment: [step]}}`."""
    data = take_object(part_of(reply, "data"), "an object with data")
    for key, found in data.items():
        bucket = take_object(found, "a funnel by date")
        split = bucket if "on" in asked.params or "steps" not in bucket else {OVERALL: bucket}
        for segment, one in split.items():
            steps = one.get("steps") if isinstance(one, dict) else one
            rest = {k: v for k, v in one.items() if k != "steps"} if isinstance(one, dict) else {}
            yield from _named_numbers(key, segment, rest)
            for number, step in enumerate(take_list(steps, "a funnel with steps"), 1):
                facts = take_object(step, "a funnel with steps")
                label = facts.get("step_label") or facts.get("event") or facts.get("goal")
                yield from _named_numbers(key, segment, facts, step=number, label=label)


def _insights(reply: object, _asked: ReportQuery) -> Iterator[Measure]:
    """`{"date_range": {...}, "series": {segment: {... {key: number}}}}`, of any depth.

    What comes below the date, as in saved retention reports, is the metric or a list of steps. A
    report that is no series has no dates: it is filed under the last day of its range.
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


def _retention(reply: object, asked: ReportQuery) -> Iterator[Measure]:
    """`{key: {"counts": [number], "first": number}}`, or with `on` `{key: {segment: {...}}}`."""
    for key, found in take_object(reply, "retention by date").items():
        bucket = take_object(found, "retention by date")
        plain = "on" not in asked.params or isinstance(bucket.get("counts"), list)
        for segment, one in ({OVERALL: bucket} if plain else bucket).items():
            facts = dict(take_object(one, "retention by segment"))
            counts = take_list(facts.pop("counts", None), "retention with counts")
            yield from _named_numbers(key, segment, facts)
            for step, value in enumerate(counts):
                yield from _measure(key, segment, value, metric="count", step=step)


def _frequency(reply: object, _asked: ReportQuery) -> Iterator[Measure]:
    """`{"data": {key: [number]}}`, or with `on` `{key: {segment: [number]}}`."""
    for key, found in take_object(part_of(reply, "data"), "an object with data").items():
        by_segment = {OVERALL: found} if isinstance(found, list) else found
        for segment, counts in take_object(by_segment, "frequency by date").items():
            for step, value in enumerate(take_list(counts, "frequency with counts"), 1):
                yield from _measure(key, segment, value, metric="count", step=step)


def _top_events(reply: object, asked: ReportQuery) -> Iterator[Measure]:
    """`{"events": [{"event": name, "amount": number, ...}], "type": ...}`."""
    events = take_list(part_of(reply, "events"), "an object with events")
    for event in events:
        facts = take_object(event, "a list of events")
        yield from _named_numbers(str(asked.today), text_of(facts.get("event")), facts)


def _top_properties(reply: object, asked: ReportQuery) -> Iterator[Measure]:
    """`{name: {"count": number}}`; some have no count."""
    key = str(asked.today)
    for name, found in take_object(reply, "an object of properties").items():
        facts = take_object(found, "an object of properties")
        if "count" not in facts:
            yield Measure(asked.today, key, name, 0, "count", None, None)
        yield from _named_numbers(key, name, facts)


def _names(reply: object, _asked: ReportQuery) -> Iterator[Name]:
    """`[name]`."""
    for position, name in enumerate(take_list(reply, "a list of names"), 1):
        yield Name(position, name if isinstance(name, str) else dump_json(name))


def _activity(reply: object, asked: ReportQuery) -> Iterator[Activity]:
    """`{"results": {"events": [{"event": name, "properties": {"time": seconds, ...}}]}}`.

    The id of the user is called `$distinct_id` here and `distinct_id` there, in one reply.
    """
    results = take_object(part_of(reply, "results"), "an object with results")
    positions: dict[date, int] = {}
    for event in take_list(results.get("events"), "an object with events"):
        facts = take_object(event, "a list of events")
        properties = take_object(facts.get("properties"), "a list of events with properties")
        day, time = take_moment(properties.get("time"), asked.zone)
        if asked.window is not None and not asked.window.first <= day <= asked.window.last:
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


def _items(reply: object, _asked: ReportQuery) -> Iterator[Item]:
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
    """A row for each number of an object, at any depth, named by where it is."""
    text = label if isinstance(label, str) else None
    for path, value in iter_numbers(facts):
        metric = ".".join(map(str, path))
        yield Measure(take_day(key), key, segment, step, metric, text, value)


def _measure(
    key: str, segment: str, value: object, *, metric: str, step: int = 0
) -> Iterator[Measure]:
    """A row for a number; none for null, which says that there is no number."""
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
