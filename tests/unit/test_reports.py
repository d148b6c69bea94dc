"""Declared reports: how they are parsed, which are refused, and which days are requested."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.catalog.endpoints import endpoint
from mixpanel_source.catalog.tables import REPORT_TABLES
from mixpanel_source.config.report_params import CHOICES, OBJECTS, RESERVED
from mixpanel_source.config.report_parsing import parse_reports
from mixpanel_source.config.reports import Report, endpoint_of, reports_of, window_for
from mixpanel_source.errors import ConfigError
from mixpanel_source.windows import DAY, Window

YESTERDAY = date(2026, 11, 20)
"""A Friday."""
SIGNUPS: dict[str, Any] = {"name": "Signups", "table": "segmentation", "params": {"event": "Up"}}

days = st.dates(date(2024, 1, 1), date(2028, 12, 31))
bucketings = st.sampled_from(
    [{"unit": "day"}, {"unit": "week"}, {"unit": "month"}, {"interval": "5"}, {}]
)


def parse(**changes: Any) -> Report:
    """The report declared by `SIGNUPS` with `changes`; None leaves a key out."""
    declared = {key: one for key, one in {**SIGNUPS, **changes}.items() if one is not None}
    (report,) = parse_reports("reports", [declared])
    return report


def report(table: str = "segmentation", **params: str) -> Report:
    """A report with the given parameters."""
    return Report("R", table, tuple(params.items()))


def least(table: str) -> dict[str, Any]:
    """The required parameters of a table, each with a valid value."""
    names = [name for name in endpoint_of(table).required if name not in RESERVED]
    words = CHOICES.get(table, {})
    values: dict[str, Any] = {name: {"a": 1} if name in OBJECTS else 1 for name in names}
    return {name: words[name][0] if name in words else values[name] for name in names}


@pytest.mark.parametrize("table", REPORT_TABLES)
def test_every_table_can_be_declared(table: str) -> None:
    """The required parameters are enough; the message for a missing one names it."""
    assert parse(table=table, params=least(table)).table == table
    for name in least(table):
        params = {key: value for key, value in least(table).items() if key != name}
        with pytest.raises(ConfigError, match=rf"^reports Signups: params must have .*\b{name}\b"):
            parse(table=table, params=params)


@pytest.mark.parametrize(
    ("table", "params", "sent"),
    [
        ("segmentation", {"event": " Up "}, {"event": " Up "}),
        ("segmentation", {"event": "Up", "limit": 5}, {"event": "Up", "limit": "5"}),
        ("retention", {"unbounded_retention": True}, {"unbounded_retention": "true"}),
        ("jql", {"script": "x", "params": {"a": [1]}}, {"params": '{"a": [1]}', "script": "x"}),
        ("jql", {"script_file": "a.js"}, {"script_file": "a.js"}),
        ("flows", {"bookmark": {"steps": ["Ü"]}}, {"bookmark": '{"steps": ["Ü"]}'}),
        ("flows", {"bookmark": ' {"steps":["Ü"]}'}, {"bookmark": '{"steps": ["Ü"]}'}),
        (
            "event_counts",
            {"event": ["Ü", "b"], "type": "unique", "unit": "week"},
            {"event": '["Ü", "b"]', "type": "unique", "unit": "week"},
        ),
        (
            "event_counts",
            {"event": "Up", "type": "general", "unit": "day"},
            {"event": '["Up"]', "type": "general", "unit": "day"},
        ),
        (
            "event_counts",
            {"event": '"Up, down"', "type": "general", "unit": "day"},
            {"event": '["Up, down"]', "type": "general", "unit": "day"},
        ),
        ("activity", {"distinct_ids": '["u1"]'}, {"distinct_ids": '["u1"]'}),
        ("funnels", {"funnel_id": "7509", "length": 3}, {"funnel_id": "7509", "length": "3"}),
    ],
)
def test_parameters_are_text(table: str, params: dict[str, Any], sent: dict[str, str]) -> None:
    """Lists, tables, flags and numbers are sent as JSON, and text as it is."""
    parsed = parse(table=table, params=params)
    assert parsed.param_map == sent
    assert hash(parsed) == hash(parse(table=table, params=params))


def test_defaults_and_json_text() -> None:
    """JSON text, as from the environment, and TOML dates give the same result."""
    declared = [{**SIGNUPS, "since": date(2026, 1, 1), "days": 7}, {**SIGNUPS, "name": "Two"}]
    parsed = parse_reports("reports", declared)
    assert parsed == parse_reports("reports", json.dumps(declared, default=str))
    assert parsed[0].since == date(2026, 1, 1)
    assert (parsed[1].since, parsed[1].days) == (None, 30)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "reports number 1: name is missing"),
    ({"name": " "}, "reports number 1: name is missing"),
    ({"table": "segmentations"}, "did you mean segmentation? It must be one of funnels, insights"),
    ({"table": None}, "table is missing; it must be one of"),
    ({"table": "export"}, "it must be one of funnels"),
    ({"colour": 1}, "there is no key colour; it must be one of name, table, params, since, days"),
    ({"param": {}}, "there is no key param: did you mean params?"),
    ({"params": "event"}, "params must be a table"),
    ({"params": {"event": "Up", "limits": 5}}, "there is no parameter limits: did you mean limit?"),
    ({"params": {"event": "Up", "q": 5}}, "must be one of event, on, unit, interval, where"),
    ({"params": {"event": "Up", "from_date": "2026-01-01"}}, "must not have from_date"),
    ({"params": {"event": "Up", "to_date": "2026-01-01"}}, "must not have to_date"),
    ({"params": {"event": "Up", "format": "csv"}}, "must not have format"),
    ({"params": {"event": "Up", "project_id": 5}}, "must not have project_id"),
    ({"params": {"event": ""}}, "params: event is blank"),
    ({"params": {"event": None}}, "params: event is blank"),
    ({"params": {}}, "params must have event, which segmentation needs"),
    ({"params": {"event": "Up", "unit": "weeks"}}, "unit is 'weeks'; it must be one of minute,"),
    ({"params": {"event": "Up", "type": "uniqe"}}, "type is 'uniqe': did you mean unique?"),
    ({"params": {"event": "Up", "type": ["unique"]}}, "must be one of general, unique, average"),
    ({"params": {"event": "Up", "limit": "many"}}, "params: limit is 'many'; it must be a whole"),
    ({"params": {"event": "Up", "unit": "day", "interval": 2}}, "unit or interval, and not both"),
    ({"table": "activity", "params": {"distinct_ids": "[u1]"}}, "distinct_ids begins with [, as"),
    ({"table": "activity", "params": {"distinct_ids": '["u1"'}}, "but is not valid JSON"),
    (
        {"table": "activity", "params": {"distinct_ids": '{"id": 1}'}},
        "distinct_ids is a JSON object",
    ),
    ({"table": "retention", "params": {"unit": "day", "interval": 2}}, "and not both"),
    ({"table": "funnels", "params": {"funnel_id": 1, "unit": "day", "interval": 2}}, "not both"),
    ({"table": "event_counts", "params": {"interval": 2}}, "must not have interval"),
    ({"table": "flows", "params": {"bookmark": 5}}, "bookmark must be a table, or JSON text"),
    ({"table": "flows", "params": {"bookmark": "{"}}, "bookmark must be a table, or JSON text"),
    ({"table": "flows", "params": {"bookmark": {}}}, "bookmark must be a table, or JSON text"),
    ({"table": "jql", "params": {}}, "one of script and script_file"),
    ({"table": "jql", "params": {"script": "a", "script_file": "b"}}, "one of script and"),
    (
        {"table": "insights", "params": {"bookmark_id": 1}, "days": 3},
        "days must be left out: insights is",
    ),
    (
        {"table": "jql", "params": {"script": "x"}, "since": "2026-01-01"},
        "since must be left out: jql is",
    ),
    ({"since": "2026-02-30"}, "since is '2026-02-30'; it must be a calendar day"),
    ({"since": 5}, "since is 5; it must be a calendar day"),
    ({"days": 0}, "days is 0; it must be a whole number from 1 to 3,660"),
    ({"days": "a month"}, "days is 'a month'; it must be a whole number"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=repr)
def test_refused(changes: dict[str, Any], words: str) -> None:
    """The message begins with the setting and the report, and names the valid values."""
    with pytest.raises(ConfigError) as raised:
        parse(**changes)
    assert str(raised.value).startswith(("reports Signups: ", "reports number 1: "))
    assert words in str(raised.value)


def test_two_of_one_name() -> None:
    """A name identifies the rows of a report, so it must be unique in all tables."""
    with pytest.raises(ConfigError, match=r"^reports Signups: two reports have this name"):
        parse_reports("reports", [SIGNUPS, {**SIGNUPS, "table": "segmentation"}])


@pytest.mark.parametrize("value", ["{}", "[5]", "not JSON", 5, SIGNUPS, [None]], ids=repr)
def test_no_list_of_tables(value: object) -> None:
    """The message names the form that a list of reports must have."""
    with pytest.raises(
        ConfigError, match=r"^reports is of type [^;]*; it must be a list of tables"
    ):
        parse_reports("reports", value)


def test_words_are_parameters_of_the_endpoint() -> None:
    """Every parameter with a choice of values is one of its endpoint."""
    for table, words in CHOICES.items():
        assert set(words) <= set(endpoint_of(table).params)
    assert endpoint_of("funnels") == endpoint("funnel_steps")


def test_reports_of_a_table() -> None:
    """A table needs a declared report, except `funnels`."""
    declared = parse()
    assert reports_of([declared, report("jql")], "segmentation") == [declared]
    assert reports_of([declared], "funnels") == []
    with pytest.raises(ConfigError, match=r"retention.*\[\[sources.mixpanel.reports\]\]"):
        reports_of([declared], "retention")


@pytest.mark.parametrize(
    ("asked", "through", "first"),
    [
        (report(), None, date(2026, 10, 22)),
        (report(), YESTERDAY - DAY, date(2026, 10, 22)),
        (report(), date(2026, 5, 1), date(2026, 5, 2)),
        (report(unit="month"), YESTERDAY, date(2026, 10, 1)),
        (report("frequency", unit="week"), YESTERDAY, date(2026, 10, 19)),
        (report("retention", retention_type="compounded", interval_count="60"), YESTERDAY, None),
        (report("funnels", length="60"), YESTERDAY, date(2026, 9, 20)),
        (report("funnels", length="60", length_unit="hour"), YESTERDAY, date(2026, 10, 22)),
    ],
    ids=repr,
)
def test_first_day(asked: Report, through: date | None, first: date | None) -> None:
    """It covers new and trailing days, those whose numbers may change, and whole buckets."""
    window = window_for(asked, through, YESTERDAY)
    assert window == Window(first or YESTERDAY - 60 * DAY, YESTERDAY)


def test_newest_day_is_read_again() -> None:
    """Even with `days = 1`: in the project's zone it may not have ended when it was read."""
    asked = Report("R", "segmentation", (), date(2026, 1, 1), days=1)
    assert window_for(asked, YESTERDAY - DAY, YESTERDAY) == Window(YESTERDAY - DAY, YESTERDAY)


def test_retention_of_firsts_keeps_its_first_day() -> None:
    """Users are counted from the first requested day, so that day does not move."""
    since = date(2026, 1, 1)
    asked = Report("R", "retention", (), since)
    assert window_for(asked, YESTERDAY - DAY, YESTERDAY) == Window(since, YESTERDAY)
    recurring = Report("R", "retention", (("retention_type", "compounded"),), since)
    assert window_for(recurring, YESTERDAY - DAY, YESTERDAY) == (date(2026, 10, 22), YESTERDAY)


def test_since_is_to_come() -> None:
    """Nothing is requested before the first day is complete."""
    assert window_for(Report("R", "segmentation", (), YESTERDAY + DAY), None, YESTERDAY) is None


@given(since=days, bucketing=bucketings, trailing=st.integers(1, 90), steps=st.data())
def test_windows_leave_no_gap_and_begin_with_a_bucket(
    since: date, bucketing: dict[str, str], trailing: int, steps: st.DataObject
) -> None:
    """However many days pass between two loads, each bucket is requested from its start."""
    asked = Report("R", "segmentation", tuple(bucketing.items()), since, trailing)
    through, yesterday = None, since
    for _ in range(4):
        yesterday += timedelta(days=steps.draw(st.integers(0, 100)))
        window = window_for(asked, through, yesterday)
        assert window is not None
        assert window.last == yesterday
        assert window.first <= max(since, yesterday - DAY * (trailing - 1))
        assert window.first <= (since if through is None else through + DAY)
        assert window.first > since - DAY * 31
        if "interval" in bucketing:
            assert (window.first - since).days % 5 == 0
        elif bucketing.get("unit") == "week":
            assert window.first.weekday() == 0
        elif bucketing.get("unit") == "month":
            assert window.first.day == 1
        through = yesterday


def test_definition_changes_with_what_is_asked() -> None:
    """It changes with the parameters and `since`, and not with `name` and `days`."""
    same = {parse().definition, parse(days=5).definition, parse(name="Two").definition}
    assert len(same) == 1
    assert parse(since="2026-01-01").definition not in same
    assert parse(params={"event": "Up", "limit": 5}).definition not in same
