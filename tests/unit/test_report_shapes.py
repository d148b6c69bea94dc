"""Replies of every shape become rows: each number in one, whatever the order of the keys."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import date, datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.catalog.tables import REPORT_TABLES
from mixpanel_source.config.reports import endpoint_of
from mixpanel_source.errors import ReplyError
from mixpanel_source.tables.reports.reply_facts import facts_of
from mixpanel_source.tables.reports.rows import Item, Measure, ReportQuery, Rows
from mixpanel_source.tables.reports.shapes import days_of, parse_report
from mixpanel_source.windows import Window
from tests.support.openapi import load_specification

TODAY = date(2026, 11, 21)

keys = st.dates(date(2020, 1, 1), date(2030, 1, 1)).map(str)
hours = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001 - a wall clock
    lambda moment: f"{moment:%Y-%m-%d %H}:00:00"
)
# an ISO date as a segment of insights would be taken for one
names = st.text(max_size=8).filter(lambda name: not name[:1].isdigit())
numbers = st.integers(-(2**50), 2**50) | st.floats(allow_nan=False, allow_infinity=False)


def by(keys: st.SearchStrategy[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with a few of these."""
    return st.dictionaries(keys, values, max_size=3)


cohorts = st.fixed_dictionaries({"counts": st.lists(numbers, max_size=4), "first": numbers})
steps = st.lists(
    st.fixed_dictionaries(
        {"event": names, "count": numbers, "avg_time": st.none() | numbers},
        optional={"new": by(names, numbers), "custom_event": st.booleans()},
    ),
    max_size=3,
)
analysed = st.fixed_dictionaries({"steps": steps, "analysis": by(names, numbers)})
nested: st.SearchStrategy[Any] = st.deferred(lambda: by(keys, numbers) | by(names, nested))

REPLIES: dict[str, tuple[dict[str, Any], st.SearchStrategy[Any]]] = {
    "segmentation": ({}, by(names, by(keys | hours, st.none() | numbers))),
    "segmentation_sum": ({"event": "Up"}, by(keys, numbers)),
    "funnels": (
        {},
        by(keys, analysed),
    ),
    "funnels by value": ({"on": "p"}, by(keys, by(names, steps))),
    "insights": ({}, by(names, by(keys, numbers)) | nested),
    "retention": ({}, by(keys, cohorts)),
    "retention by value": ({"on": "p"}, by(keys, by(names, cohorts))),
    "frequency": ({}, by(keys, st.lists(numbers, max_size=4))),
    "frequency by value": ({"on": "p"}, by(keys, by(names, st.lists(numbers, max_size=4)))),
    "top_properties": ({}, by(names, st.fixed_dictionaries({"count": numbers}))),
}
"""Table -> parameters and what is in the reply's envelope."""


def ask(table: str, *, window: Window | None = None, **params: Any) -> ReportQuery:
    """What was asked, today."""
    return ReportQuery(table, params, TODAY, window=window)


def rows_from(reply: object, query: ReportQuery) -> Rows:
    """The rows of a reply."""
    return parse_report(reply, query).rows


def envelop(table: str, inside: Any) -> Any:
    """The reply that holds what was made up."""
    rows = endpoint_of(table).rows
    if table == "insights":
        return {"date_range": {"from_date": "2020-01-01", "to_date": "2020-01-31"}, rows: inside}
    if table == "segmentation":
        return {"data": {"series": [], "values": inside}, "legend_size": 5}
    return inside if rows is None else {rows: inside}


def leaves(value: Any) -> list[float]:
    """Every number at any depth."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for one in value for number in leaves(one)]
    return [] if value is None or isinstance(value, (bool, str)) else [float(value)]


def numbers_in(rows: Rows) -> list[float]:
    """The values of measures, in order."""
    values = [row.value for row in rows if isinstance(row, Measure)]
    return sorted(value for value in values if value is not None)


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same with the keys of objects in another order."""
    if isinstance(value, list):
        return [shuffled(one, chance) for one in value]
    if not isinstance(value, dict):
        return value
    items = [(key, shuffled(one, chance)) for key, one in value.items()]
    chance.shuffle(items)
    return dict(items)


@given(st.sampled_from(sorted(REPLIES)), st.data(), st.randoms(use_true_random=False))
def test_each_number_is_in_one_row(name: str, data: st.DataObject, chance: random.Random) -> None:
    """None is lost, none is there twice, the key tells rows apart, order of keys means nothing."""
    table = name.partition(" ")[0]
    params, inside = REPLIES[name]
    made = data.draw(inside)
    rows = rows_from(envelop(table, made), ask(table, **params))
    assert numbers_in(rows) == sorted(leaves(made))
    assert len({row[:5] for row in rows}) == len(rows)
    assert [row[:5] for row in rows] == sorted(row[:5] for row in rows)
    assert rows_from(shuffled(envelop(table, made), chance), ask(table, **params)) == rows


@given(st.sampled_from(REPORT_TABLES), st.data())
def test_nothing_but_our_error(table: str, data: st.DataObject) -> None:
    """Whatever comes instead of a reply is rows or a `ReplyError`."""
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | keys | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | by(keys | st.text(max_size=3), inner),
        max_leaves=8,
    )
    rows = endpoint_of(table).rows
    reply = data.draw(anything | anything.map(lambda inside: {rows or "data": inside}))
    with suppress(ReplyError):
        rows_from(reply, ask(table, event="Up"))
        days_of(reply, ask(table))


def test_entries_that_are_no_events() -> None:
    """They are set aside, and stop no other."""
    good = {"event": "Up", "properties": {"time": 0}}
    odd = [
        (None, "not an object"),
        ({"event": "Up", "properties": {"time": "noon"}}, "time is not a time"),
        ({"event": "Up", "properties": []}, "properties is not an object"),
        ({"event": None, "properties": {"time": 0}}, "event is not text"),
    ]
    entries = [entry for entry, _ in odd]
    parsed = parse_report({"results": {"events": [*entries, good]}}, ask("activity"))
    assert len(parsed.rows) == 1
    assert parsed.rejected == [(reason, entry) for entry, reason in odd]
    tops = [{"event": "Up", "amount": 2}, "Up"]
    parsed = parse_report({"events": tops}, ask("top_events"))
    assert (len(parsed.rows), parsed.rejected) == (1, [("not an object", "Up")])


WRONG: dict[str, list[Any]] = {
    "segmentation": [[], {}, {"data": {}}, {"data": {"values": {"Up": {"today": 5}}}}],
    "segmentation_sum": [{"status": "ok"}, {"results": {"2026-01-01": "5"}}],
    "funnels": [{"data": {"2026-01-01": []}}, {"data": {"2026-01-01": {"steps": {}}}}],
    "insights": [{"series": {"Up": {"all": 5}}}, {"series": []}],
    "retention": [{"error": "no"}, {"2026-01-01": {"first": 5}}, {"2026-13-01": {"counts": [5]}}],
    "frequency": [{"data": {"2026-01-01": 5}}],
    "top_events": [{"events": {}}],
    "event_names": [{"names": []}],
    "top_properties": [{"a": 5}],
    "activity": [{"results": {"events": {}}}, {"results": []}],
    "jql": [{"error": "no"}],
}


@pytest.mark.parametrize(("table", "reply"), [(t, one) for t in WRONG for one in WRONG[t]])
def test_other_shapes(table: str, reply: Any) -> None:
    """What is not the documented shape is said to be so."""
    with pytest.raises(ReplyError, match=r"^the reply is not "):
        rows_from(reply, ask(table))


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    """Path -> the example of a reply in Mixpanel's specification."""
    paths = load_specification("query")["paths"]
    found: dict[str, Any] = {}
    for path, methods in paths.items():
        for method in methods.values():
            content = method["responses"]["200"]["content"]["application/json"]
            if "examples" in content:
                found[f"/api/query{path}"] = content["examples"]["example"]["value"]
    return found


@pytest.mark.parametrize("table", sorted(set(REPORT_TABLES) - {"jql", "flows"}))
def test_examples_of_the_specification(table: str, examples: dict[str, Any]) -> None:
    """Every number of the documented replies is in a row; every event, every name too."""
    reply = examples[endpoint_of(table).path]
    rows = rows_from(reply, ask(table, event="Up"))
    assert rows
    if not isinstance(rows[0], Measure):
        assert len(rows) == len(reply["results"]["events"] if table == "activity" else reply)
        return
    known = {key: one for key, one in reply.items() if key != "legend_size"}
    assert numbers_in(rows) == sorted(leaves(known))


def measures(reply: Any, asked: ReportQuery) -> list[tuple[Any, ...]]:
    """Rows as tuples, days as text."""
    return [(str(row[0]), *row[1:]) for row in rows_from(reply, asked)]


def test_series() -> None:
    """A row a segment and bucket; what is measured is the parameter `type`."""
    values = {"IE": {"2026-01-02 10:00:00": 1}, "Chrome": {"2026-01-02 10:00:00": 0}}
    asked = ask("segmentation", type="unique")
    assert measures({"data": {"series": [], "values": values}}, asked) == [
        ("2026-01-02", "2026-01-02 10:00:00", "Chrome", 0, "unique", None, 0.0),
        ("2026-01-02", "2026-01-02 10:00:00", "IE", 0, "unique", None, 1.0),
    ]


def test_results() -> None:
    """The segment is the event, the metric what the table is called."""
    assert measures({"results": {"2026-01-02": 4}}, ask("segmentation_sum", event="Up")) == [
        ("2026-01-02", "2026-01-02", "Up", 0, "sum", None, 4.0)
    ]


def test_funnel() -> None:
    """Steps are counted from 1; what is of the whole funnel is step 0."""
    first = {"count": 9, "avg_time": None, "event": "A", "goal": "A"}
    second = {"count": 3, "event": "$custom_event:5", "step_label": "B", "custom_event": True}
    whole = {"steps": [first, second], "analysis": {"worst": 1}}
    start = ("2026-01-05", "2026-01-05", "$overall")
    assert measures({"meta": {}, "data": {"2026-01-05": whole}}, ask("funnels")) == [
        (*start, 0, "analysis.worst", None, 1.0),
        (*start, 1, "count", "A", 9.0),
        (*start, 2, "count", "B", 3.0),
    ]
    split = {"2026-01-05": {"steps": [first], "$overall": [first]}}
    assert measures({"data": split}, ask("funnels", on="p")) == [
        (*start, 1, "count", "A", 9.0),
        ("2026-01-05", "2026-01-05", "steps", 1, "count", "A", 9.0),
    ]


def test_flows() -> None:
    """Each entry of a list and each other value is a row; a reply without a list is none."""
    reply = {"steps": [{"event": "a"}, 1], "overallConversionRate": 0.5, "breakdowns": []}
    rows = [row.row for row in rows_from(reply, ask("flows")) if isinstance(row, Item)]
    assert rows == ['{"steps":{"event":"a"}}', '{"steps":1}', '{"overallConversionRate":0.5}']
    with pytest.raises(ReplyError, match="not an object with steps"):
        rows_from({"computed_at": "now"}, ask("flows"))


@pytest.mark.parametrize(
    ("meta", "sampling"), [({"min_sampling_factor": 0.1}, 0.1), ({}, 1.0), (None, 1.0), ([], 1.0)]
)
def test_sampled_numbers_are_recognised(meta: object, sampling: float) -> None:
    """The share of users that they were estimated from."""
    reply = {"date_range": {"from_date": "2020-01-01", "to_date": "2020-01-31"}, "meta": meta}
    assert facts_of({**reply, "series": {}}, ask("insights_queries")).sampling == sampling


def test_insights() -> None:
    """Levels become a list, what is below the date a metric; without a date it is the last day."""
    key = "2026-01-05T00:00:00-08:00"
    series = {
        "Up": {"US": {key: 1}, "$overall": {key: 2}},
        "Flat": {key: 3},
        "Back": {"2026-01-05": {"first": 4, "counts": [5, 6]}},
        "Bar": {"all": 7},
    }
    reply = {
        "date_range": {"from_date": key, "to_date": "2026-01-09T23:59:59.999000-08:00"},
        "series": series,
        "meta": {"n": 5},
        "time_comparison": None,
    }
    assert measures(reply, ask("insights")) == [
        ("2026-01-05", "2026-01-05", "Back", 0, "counts", None, 5.0),
        ("2026-01-05", "2026-01-05", "Back", 0, "first", None, 4.0),
        ("2026-01-05", "2026-01-05", "Back", 1, "counts", None, 6.0),
        ("2026-01-05", key, "Flat", 0, "value", None, 3.0),
        ("2026-01-05", key, '["Up","$overall"]', 0, "value", None, 2.0),
        ("2026-01-05", key, '["Up","US"]', 0, "value", None, 1.0),
        ("2026-01-09", "2026-01-09", '["Bar","all"]', 0, "value", None, 7.0),
    ]
    assert [str(day) for day in days_of(reply, ask("insights"))] == [
        f"2026-01-0{number}" for number in range(5, 10)
    ]


def test_retention_and_frequency() -> None:
    """Intervals are counted from 0, times from 1; newer cohorts have fewer of them."""
    start = ("2026-01-05", "2026-01-05")
    assert measures({"2026-01-05": {"counts": [2, 1], "first": 3}}, ask("retention")) == [
        (*start, "$overall", 0, "count", None, 2.0),
        (*start, "$overall", 0, "first", None, 3.0),
        (*start, "$overall", 1, "count", None, 1.0),
    ]
    split = {"2026-01-05": {"counts": {"counts": [2], "first": 3}}}
    assert measures(split, ask("retention", on="p"))[0] == (*start, "counts", 0, "count", None, 2.0)
    assert measures({"data": {"2026-01-05": [5, 0]}}, ask("frequency")) == [
        (*start, "$overall", 1, "count", None, 5.0),
        (*start, "$overall", 2, "count", None, 0.0),
    ]


def test_tops_are_filed_under_today() -> None:
    """Their replies name no day; a property without a count is kept."""
    events = [{"event": "Up", "amount": 2, "percent_change": -0.5}]
    start = ("2026-11-21", "2026-11-21")
    assert measures({"events": events, "type": "unique"}, ask("top_events")) == [
        (*start, "Up", 0, "amount", None, 2.0),
        (*start, "Up", 0, "percent_change", None, -0.5),
    ]
    assert measures({"b": {}, "a": {"count": 1}}, ask("top_properties")) == [
        (*start, "a", 0, "count", None, 1.0),
        (*start, "b", 0, "count", None, None),
    ]


def test_names_and_scripts_keep_their_order() -> None:
    """What is a list is numbered."""
    assert rows_from(["b", "a", 5], ask("property_values")) == [(1, "b"), (2, "a"), (3, "5")]
    assert rows_from([{"n": 1}, 2**70], ask("jql")) == [(1, '{"n":1}'), (2, str(2**70))]


def test_activity() -> None:
    """Numbered by day; times are instants, on the wall of the project's zone where it has one."""
    day_s = 86_400
    noon_s = int(datetime(2026, 1, 5, 12, tzinfo=timezone.utc).timestamp())
    events = [
        {"event": "A", "properties": {"time": noon_s, "$distinct_id": "u"}},
        {"event": "B", "properties": {"time": noon_s * 1000 + 500, "distinct_id": 7}},
        {"event": "C", "properties": {"time": noon_s + day_s}},
        {"event": "D", "properties": {"time": noon_s - day_s}},
    ]
    window = Window(date(2026, 1, 5), date(2026, 1, 6))
    asked = ask("activity", window=window)._replace(zone="America/New_York")
    rows = rows_from({"results": {"events": events}}, asked)
    assert [row[1:5] for row in rows] == [
        (1, datetime(2026, 1, 5, 17, tzinfo=timezone.utc), "A", "u"),
        (2, datetime(2026, 1, 5, 17, 0, 0, 500_000, timezone.utc), "B", "7"),
        (1, datetime(2026, 1, 6, 17, tzinfo=timezone.utc), "C", None),
    ]
    assert [str(day) for day in days_of({}, asked)] == ["2026-01-05", "2026-01-06"]
