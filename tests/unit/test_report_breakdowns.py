"""Replies with breakdowns: each number is in one row, whatever the values are called."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_source.errors import ReplyError
from mixpanel_source.tables.reports.measures import metric_text, segment_text
from mixpanel_source.tables.reports.reply_facts import facts_of
from mixpanel_source.tables.reports.rows import Measure, ReportQuery
from mixpanel_source.tables.reports.shapes import parse_report
from mixpanel_source.windows import Window

FIRST, LAST = date(2026, 11, 14), date(2026, 11, 20)
WINDOW = Window(FIRST, LAST)
RANGE = {"from_date": f"{FIRST}T00:00:00-08:00", "to_date": f"{LAST}T23:59:59.999000-08:00"}
DAYS = [str(FIRST + timedelta(days=number)) for number in range(7)]
BUCKETS = [f"{day}T00:00:00-08:00" for day in DAYS]
HOSTILE = [
    *("steps", "date", "count", "counts", "first", "analysis", "value", "series", "all"),
    *("", " ", "5", "null", "None", "undefined", "$average", "$remaining_values", "a.b"),
    *("2026-11-15", "2026-11-16", "2026-11-16T10:00:00", "2019-01-01", "2026-11-17 10:00:00"),
    *('["a"]', '["a","b"]', "[]", '"a"', "{}"),
]
"""Values that look like parts of a reply, like times, or like what the tables hold."""

values = st.sampled_from(HOSTILE) | st.text(max_size=5).filter(lambda text: text != "$overall")
numbers = st.integers(-(2**50), 2**50)

Levels = tuple[str, ...]


class Expected(NamedTuple):
    """A row, with the levels of its segment."""

    date: str
    bucket: str
    levels: Levels
    step: int
    metric: str
    label: str | None
    value: float


def split(leaves: st.SearchStrategy[Any], depth: int) -> st.SearchStrategy[Any]:
    """Values of `depth` breakdowns, one in another, with `$overall` beside the values of each."""
    if depth == 0:
        return leaves
    inner = split(leaves, depth - 1)
    by_value = st.dictionaries(values, inner, min_size=1, max_size=3)
    return st.tuples(by_value, leaves).map(lambda pair: {**pair[0], "$overall": pair[1]})


def walk(tree: Any, depth: int, levels: Levels = ()) -> list[tuple[Levels, Any]]:
    """What is in each segment of `split`."""
    if depth == 0:
        return [(levels, tree)]
    parts = [(value, 0 if value == "$overall" else depth - 1) for value in tree]
    return [part for value, left in parts for part in walk(tree[value], left, (*levels, value))]


def put(levels: Levels, leaf: Any, tree: dict[str, Any]) -> None:
    """Put a leaf into nested objects."""
    for level in levels[:-1]:
        tree = tree.setdefault(level, {})
    tree[levels[-1]] = leaf


def levels_of(segment: str) -> Levels:
    """The levels of a segment, as the documentation tells to read it."""
    try:
        parsed = json.loads(segment)
    except ValueError:
        return (segment,)
    is_list = isinstance(parsed, list) and parsed and all(isinstance(one, str) for one in parsed)
    return tuple(parsed) if is_list else (segment,)


def parse(table: str, reply: Any, **params: str) -> Counter[Expected]:
    """The rows of a reply, which must differ in what identifies them."""
    window = None if table == "insights" else WINDOW
    rows = parse_report(reply, ReportQuery(table, params, LAST, window=window)).rows
    assert len({row[:5] for row in rows}) == len(rows)
    return Counter(
        Expected(
            str(row.date),
            row.bucket,
            levels_of(row.segment),
            row.step,
            row.metric,
            row.label,
            row.value,
        )
        for row in rows
        if isinstance(row, Measure) and row.value is not None
    )


depths = st.integers(0, 3)
steps = st.lists(
    st.fixed_dictionaries({"event": values, "count": numbers}, optional={"avg_time": st.none()}),
    max_size=2,
)


@settings(max_examples=60)
@given(st.data(), depths, st.booleans())
def test_funnel_is_kept(data: st.DataObject, depth: int, has_objects: bool) -> None:
    """Steps directly in a segment, or in an object with an analysis."""
    with_object = has_objects or depth == 0

    def wrap(found: list[Any]) -> Any:
        return {"steps": found, "analysis": {"steps": len(found)}} if with_object else found

    days = data.draw(st.dictionaries(st.sampled_from(DAYS), split(steps, depth), max_size=2))
    expected: Counter[Expected] = Counter()
    reply: dict[str, Any] = {}
    for day, tree in days.items():
        reply[day] = {}
        for levels, found in walk(tree, depth):
            if levels:
                put(levels, wrap(found), reply[day])
            else:
                reply[day] = wrap(found)
            start = (day, day, levels or ("$overall",))
            if with_object:
                expected[Expected(*start, 0, "analysis.steps", None, len(found))] += 1
            for number, step in enumerate(found, 1):
                label = step["event"] or None
                expected[Expected(*start, number, "count", label, step["count"])] += 1
    assert parse("funnels", {"meta": {"dates": DAYS}, "data": reply}) == expected


@settings(max_examples=60)
@given(st.data(), depths, st.sampled_from(["last", "first", "none"]))
def test_saved_report_is_kept(data: st.DataObject, depth: int, place: str) -> None:
    """Time is the innermost level, the one below or above the metric, or there is none."""
    metrics = st.dictionaries(values, split(numbers, depth), min_size=1, max_size=2)
    buckets = st.sampled_from(BUCKETS) if place != "none" else st.just("all")
    drawn = data.draw(st.dictionaries(buckets, metrics, min_size=1, max_size=3))
    series: dict[str, Any] = {}
    expected: Counter[Expected] = Counter()
    for bucket, by_metric in drawn.items():
        for metric, tree in by_metric.items():
            for levels, number in walk(tree, depth):
                all_levels = (metric, *levels)
                keys = (metric, bucket, *levels) if place == "first" else (*all_levels, bucket)
                put(keys, number, series)
                day = str(LAST) if place == "none" else bucket[:10]
                expected[Expected(day, bucket, all_levels, 0, "value", None, number)] += 1
    headers = ["$event", "plan", "Signed up on", "steps"][: depth + 1]
    reply = {"date_range": RANGE, "headers": headers, "series": series}
    assert parse("insights", reply) == expected


@settings(max_examples=40)
@given(st.data(), depths)
def test_retention_is_kept(data: st.DataObject, depth: int) -> None:
    """Cohorts by day, and their mean."""
    cells = st.fixed_dictionaries({"counts": st.lists(numbers, max_size=3), "first": numbers})
    keys = st.sampled_from([*DAYS, "$average"])
    reply = data.draw(st.dictionaries(keys, split(cells, depth), max_size=3))
    expected: Counter[Expected] = Counter()
    for key, tree in reply.items():
        day = str(LAST) if key == "$average" else key
        for levels, cell in walk(tree, depth):
            start = (day, key, levels or ("$overall",))
            expected[Expected(*start, 0, "first", None, cell["first"])] += 1
            for step, count in enumerate(cell["counts"]):
                expected[Expected(*start, step, "count", None, count)] += 1
    assert parse("retention", reply, **({"on": "p"} if depth else {})) == expected


@settings(max_examples=40)
@given(st.data(), depths)
def test_frequency_is_kept(data: st.DataObject, depth: int) -> None:
    """Lists of counts by day."""
    lists = st.lists(numbers, max_size=3)
    reply = data.draw(st.dictionaries(st.sampled_from(DAYS), split(lists, depth), max_size=3))
    expected = Counter(
        Expected(day, day, levels or ("$overall",), step, "count", None, count)
        for day, tree in reply.items()
        for levels, counts in walk(tree, depth)
        for step, count in enumerate(counts, 1)
    )
    assert parse("frequency", {"data": reply}) == expected


series_tables = st.sampled_from(
    ["segmentation", "segmentation_numeric", "event_counts", "event_properties"]
)


@given(
    st.dictionaries(
        values, st.dictionaries(st.sampled_from(DAYS), numbers, max_size=3), max_size=3
    ),
    series_tables,
)
def test_series_is_kept(by_value: dict[str, dict[str, int]], table: str) -> None:
    """Values of the property are the outer keys, days the inner ones, whatever they look like."""
    expected = Counter(
        Expected(day, day, (value,), 0, "count", None, number)
        for value, by_day in by_value.items()
        for day, number in by_day.items()
    )
    assert parse(table, {"data": {"series": DAYS, "values": by_value}}) == expected


@given(values.filter(bool), st.dictionaries(st.sampled_from(DAYS), numbers, max_size=3))
def test_sum_is_kept(event: str, by_day: dict[str, int]) -> None:
    """The segment is the event."""
    expected = Counter(
        Expected(day, day, (event,), 0, "sum", None, number) for day, number in by_day.items()
    )
    assert parse("segmentation_sum", {"results": by_day}, event=event) == expected


@given(st.dictionaries(values, numbers, max_size=4))
def test_tops_are_kept(amounts: dict[str, int]) -> None:
    """Names of events and of properties are segments."""
    by_name = {
        metric: Counter(
            Expected(str(LAST), str(LAST), (name,), 0, metric, None, number)
            for name, number in amounts.items()
        )
        for metric in ("amount", "count")
    }
    events = [{"event": name, "amount": number} for name, number in amounts.items()]
    assert parse("top_events", {"events": events, "type": "general"}) == by_name["amount"]
    properties = {name: {"count": number} for name, number in amounts.items()}
    assert parse("top_properties", properties) == by_name["count"]


names = st.sampled_from([*HOSTILE, "$overall", *DAYS[:2], *BUCKETS[:2], "US", "pro"])
anything: st.SearchStrategy[Any] = st.recursive(
    numbers | st.none() | st.booleans() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def numbers_in(value: Any) -> list[float]:
    """Every number at any depth."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for inner in value for number in numbers_in(inner)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


@given(
    st.dictionaries(st.sampled_from(DAYS[:2]) | names, anything, max_size=3),
    st.sampled_from(["funnels", "insights", "retention", "frequency"]),
    st.none() | st.lists(names, max_size=4),
    st.booleans(),
)
def test_refused_or_kept(
    inside: dict[str, Any], table: str, headers: list[str] | None, split_by_property: bool
) -> None:
    """Whatever a reply holds, no number of it is dropped without an error."""
    envelopes: dict[str, Any] = {
        "insights": {"date_range": RANGE, "headers": headers, "series": inside},
        "retention": inside,
    }
    params = {"on": "p"} if split_by_property else {}
    try:
        rows = parse(table, envelopes.get(table, {"data": inside}), **params)
    except ReplyError:
        assert table != "insights"
    else:
        assert sorted(row.value for row in rows.elements()) == sorted(numbers_in(inside))


@settings(max_examples=40)
@given(st.lists(st.lists(values, min_size=1, max_size=3), max_size=6, unique_by=tuple))
def test_texts_tell_paths_apart(paths: list[list[str]]) -> None:
    """No two paths have the same segment or metric, and none is empty unless its only value is."""
    assert len({segment_text(path) for path in paths}) == len(paths)
    assert len({metric_text(path) for path in paths}) == len(paths)
    assert all(map(metric_text, paths))


STEPS = [{"event": "A", "count": 3}]
FUNNELS: dict[str, tuple[Any, list[Levels]]] = {
    "two breakdowns": (
        {"US": {"pro": STEPS, "$overall": STEPS}, "$overall": STEPS},
        [("$overall",), ("US", "$overall"), ("US", "pro")],
    ),
    "two, without $overall": (
        {"US": {"pro": STEPS, "free": STEPS}},
        [("US", "free"), ("US", "pro")],
    ),
    "three": ({"US": {"pro": {"": STEPS}}}, [("US", "pro", "")]),
    "one, saved, with a value called steps": (
        {"steps": STEPS, "$overall": STEPS},
        [("$overall",), ("steps",)],
    ),
    "two, both values called steps": (
        {"steps": {"steps": STEPS, "$overall": STEPS}, "$overall": STEPS},
        [("$overall",), ("steps", "$overall"), ("steps", "steps")],
    ),
    "in objects": ({"US": {"pro": {"steps": STEPS}}}, [("US", "pro")]),
    "in objects, called steps": ({"steps": {"steps": {"steps": STEPS}}}, [("steps", "steps")]),
    "in objects and in lists": (
        {"US": {"pro": STEPS}, "$overall": {"steps": STEPS, "analysis": {}}},
        [("$overall",), ("US", "pro")],
    ),
    "called steps and analysis": (
        {"steps": STEPS, "analysis": STEPS, "$overall": STEPS},
        [("$overall",), ("analysis",), ("steps",)],
    ),
    "nobody in a segment": ({"US": {"pro": [], "$overall": STEPS}}, [("US", "$overall")]),
}


@pytest.mark.parametrize("name", FUNNELS)
def test_saved_funnels(name: str) -> None:
    """Breakdowns that are saved with the funnel, so that no parameter tells of them."""
    bucket, segments = FUNNELS[name]
    rows = parse("funnels", {"data": {DAYS[0]: bucket}})
    assert sorted(row.levels for row in rows) == segments
    assert {(row.date, row.step, row.label, row.value) for row in rows} == {(DAYS[0], 1, "A", 3)}


OTHER_FUNNELS: list[Any] = [
    {"US": {"pro": 5}},
    {"US": {"pro": {}}},
    {"US": {"pro": STEPS, "free": {"total": 5}}},
    {"US": {"pro": [5]}},
    {"US": {"steps": STEPS}, "DE": {"steps": "none"}},
    {"steps": STEPS, "US": {"steps": STEPS}},
]


@pytest.mark.parametrize("bucket", OTHER_FUNNELS, ids=repr)
def test_other_funnels(bucket: Any) -> None:
    """A number that belongs to no funnel is not dropped: the reply is refused."""
    with pytest.raises(ReplyError, match=r"^the reply is not a funnel with steps$"):
        parse("funnels", {"data": {DAYS[0]: bucket}})


B0, B1 = BUCKETS[:2]
UNDATED = str(LAST)
SAVED: dict[str, tuple[Any, Any, list[tuple[str, str, Levels]]]] = {
    "table by a date, as Mixpanel sends it": (
        ["$metric", "$time", "email"],
        {
            "M": {
                "$overall": {"all": 2},
                "2026-11-15T15:11:01": {"$overall": {"all": 1}, "e@x": {"all": 1}},
            }
        },
        [
            (UNDATED, "all", ("M", "$overall")),
            (UNDATED, "all", ("M", "2026-11-15T15:11:01", "$overall")),
            (UNDATED, "all", ("M", "2026-11-15T15:11:01", "e@x")),
        ],
    ),
    "table by a date with the offset of the project": (
        ["$event", "renewed"],
        {"Up": {B0: {"all": 1}}},
        [(UNDATED, "all", ("Up", B0))],
    ),
    "table without `all`": (
        ["$event", "renewed"],
        {"Up": {"2026-11-15": 1}},
        [(UNDATED, UNDATED, ("Up", "2026-11-15"))],
    ),
    "line by a date": (
        ["$event", "renewed"],
        {"Up": {"2026-11-15": {B0: 1}, "$overall": {B0: 2}}},
        [(DAYS[0], B0, ("Up", "$overall")), (DAYS[0], B0, ("Up", "2026-11-15"))],
    ),
    "line by a date of another year": (
        ["$event", "renewed"],
        {"Up": {B0: {"2019-01-01": 1, "2031-01-01": 1}}},
        [(DAYS[0], B0, ("Up", "2019-01-01")), (DAYS[0], B0, ("Up", "2031-01-01"))],
    ),
    "time first": (
        ["$event", "plan"],
        {"Up": {B0: {"pro": 1}, B1: {"free": 1}}},
        [(DAYS[0], B0, ("Up", "pro")), (DAYS[1], B1, ("Up", "free"))],
    ),
    "time first, by a date": (
        ["$event", "renewed"],
        {"Up": {B0: {"2026-11-16": 1}, B1: {"2026-11-14": 1}}},
        [(DAYS[0], B0, ("Up", "2026-11-16")), (DAYS[1], B1, ("Up", "2026-11-14"))],
    ),
    "time above the metrics": (
        ["$event"],
        {B0: {"Up": 1, "Down": 1}},
        [(DAYS[0], B0, ("Down",)), (DAYS[0], B0, ("Up",))],
    ),
    "time first, no names of levels": (
        None,
        {"Up": {B0: {"pro": 1}}},
        [(DAYS[0], B0, ("Up", "pro"))],
    ),
    "no values of the breakdown": (
        ["$event", "plan", "renewed"],
        {"Up": {"$overall": {B0: 1}}},
        [(DAYS[0], B0, ("Up", "$overall"))],
    ),
    "hours, over the end of daylight saving time": (
        ["$event"],
        {"Up": {"2026-11-14T01:00:00-07:00": 1, "2026-11-14T01:00:00-08:00": 1}},
        [
            (DAYS[0], "2026-11-14T01:00:00-07:00", ("Up",)),
            (DAYS[0], "2026-11-14T01:00:00-08:00", ("Up",)),
        ],
    ),
    "weeks that begin before the range": (
        ["$event", "plan"],
        {"Up": {"pro": {"2026-11-09T00:00:00-08:00": 1}}},
        [("2026-11-09", "2026-11-09T00:00:00-08:00", ("Up", "pro"))],
    ),
    "two breakdowns by the same date": (
        ["$event", "renewed", "renewed"],
        {"Up": {"2026-11-15": {"2026-11-15": {B0: 1}}}},
        [(DAYS[0], B0, ("Up", "2026-11-15", "2026-11-15"))],
    ),
    "saved funnel": (
        ["$funnel"],
        {"count": {"1. Up": {"all": 1}, "2. Down": {"all": 1}}},
        [(UNDATED, "all", ("count", "1. Up")), (UNDATED, "all", ("count", "2. Down"))],
    ),
    "total beside the days": (
        ["$event"],
        {"Up": {B0: 1, "$overall": 1}},
        [(DAYS[0], B0, ("Up",)), (UNDATED, "$overall", ("Up",))],
    ),
    "time named among the levels": (
        ["$metric", "$time"],
        {"Up": {B0: 1}},
        [(DAYS[0], B0, ("Up",))],
    ),
}


@pytest.mark.parametrize("name", SAVED)
def test_saved_reports(name: str) -> None:
    """Values of a property are never taken for days."""
    headers, series, expected = SAVED[name]
    reply = {"date_range": RANGE, "series": series, **({"headers": headers} if headers else {})}
    rows = parse("insights", reply)
    assert sorted((row.date, row.bucket, row.levels) for row in rows) == expected
    assert {(row.step, row.metric) for row in rows} == {(0, "value")}


RETENTION: dict[str, Callable[[Any, Any], Any]] = {
    "by day": lambda days, mean: {"m": {B0: days, "$average": mean}},
    "by segment, then day": lambda days, mean: {
        "m": {"$overall": {B0: days, "$average": mean}, "2026-11-15": {B0: days}}
    },
    "by day, then segment": lambda days, mean: {
        "m": {B0: {"$overall": days, "2026-11-15": days}, "$average": {"$overall": mean}}
    },
}


@pytest.mark.parametrize("headers", [["$retention"], ["$retention", "renewed"], None])
@pytest.mark.parametrize("name", RETENTION)
def test_saved_retention(name: str, headers: list[str] | None) -> None:
    """Names in a cell are metrics, positions are steps, and the mean is a bucket of its own."""
    cell = {"first": 3, "counts": [2, 1], "rates": [0.6, 0.3]}
    series = RETENTION[name](cell, {"first": 4, "counts": [3]})
    reply = {"date_range": RANGE, "series": series, **({"headers": headers} if headers else {})}
    rows = parse("insights", reply)
    by_day = name != "by day"
    segments = {("m", "$overall"), ("m", "2026-11-15")} if by_day else {("m",)}
    assert {(row.date, row.bucket) for row in rows} == {(DAYS[0], B0), (UNDATED, "$average")}
    assert {row.levels for row in rows} == segments
    assert {(row.metric, row.step): row.value for row in rows if row.bucket == B0} == {
        ("first", 0): 3,
        ("counts", 0): 2,
        ("counts", 1): 1,
        ("rates", 0): 0.6,
        ("rates", 1): 0.3,
    }
    assert len(rows) == 5 * len(segments) + 2


LIMITS: list[tuple[dict[str, Any], list[str]]] = [
    ({"meta": {"is_segmentation_limit_hit": True}}, ["is_segmentation_limit_hit"]),
    ({"is_segmentation_limit_hit": True, "meta": {}}, ["is_segmentation_limit_hit"]),
    (
        {"meta": {"is_truncated": True, "x_limit_reached": True}},
        ["is_truncated", "x_limit_reached"],
    ),
    ({"meta": {"is_segmentation_limit_hit": False, "min_sampling_factor": 1}}, []),
    ({"meta": {"report_sections": {"group": [{"value": "is_segmentation_limit_hit"}]}}}, []),
    ({"meta": None, "series": {"is_segmentation_limit_hit": {B0: 1}}}, []),
    ({"meta": [True]}, []),
]


@pytest.mark.parametrize(("reply", "flags"), LIMITS, ids=repr)
def test_flags_of_missing_segments(reply: dict[str, Any], flags: list[str]) -> None:
    """Only flags that are set count, and only where names are Mixpanel's."""
    query = ReportQuery("insights", {}, LAST)
    assert facts_of({"date_range": RANGE, **reply}, query).limits == flags


def test_comparison_with_an_earlier_period() -> None:
    """Its numbers have a metric of their own, and the days that they are compared with."""
    earlier = {
        "date_range": {
            "from_date": "2026-11-07T00:00:00-08:00",
            "to_date": "2026-11-13T23:59:59.999000-08:00",
        },
        "series": {"Up": {"pro": {"2026-11-08T00:00:00-08:00": 9, "2026-11-01T00:00:00-08:00": 8}}},
    }
    reply = {"date_range": RANGE, "headers": ["$event", "plan"], "series": {"Up": {"pro": {B1: 5}}}}
    rows = parse("insights", {**reply, "time_comparison": earlier})
    found = {(row.metric, row.bucket[:10]): (row.date, row.levels, row.value) for row in rows}
    assert found == {
        ("value", "2026-11-15"): ("2026-11-15", ("Up", "pro"), 5),
        ("time_comparison.value", "2026-11-08"): ("2026-11-15", ("Up", "pro"), 9),
        ("time_comparison.value", "2026-11-01"): ("2026-11-14", ("Up", "pro"), 8),
    }
