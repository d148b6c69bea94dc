"""Funnels and reports saved in Mixpanel, with breakdowns, as they are loaded and changed."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from mixpanel_sandbox import Project
from mixpanel_source.errors import ConfigError, ReplyError
from mixpanel_source.tables.package import TablePart
from tests.support.lab import Lab, open_lab
from tests.support.projects import YESTERDAY, add_event, make_project
from tests.support.sandbox_calls import send

SAVED: dict[str, Any] = {"name": "Orders", "table": "insights", "params": {"bookmark_id": 88}}
BOOKMARK: dict[str, Any] = {
    "name": "Orders",
    "events": ["Order"],
    "on": ["renewed"],
    "days": 8,
    "unit": "day",
}


VALUES = ["2026-11-19", "2019-01-01", "steps", "$average", "", "null"]
"""Values that look like dates, like parts of a reply, or like nothing."""


def saved_project() -> Project:
    """A funnel and a report, broken down by properties with such values."""
    project = make_project()
    for number, value in enumerate(VALUES):
        person = f"person {number}"
        properties = {"distinct_id": person, "renewed": value, "plan": VALUES[number - 1]}
        add_event(project, YESTERDAY, 10 + number, **properties)
    project.funnels = [
        {
            "funnel_id": 7509,
            "name": "Again",
            "steps": ["Order", "Order"],
            "length": 1,
            "on": ["renewed", "plan"],
        },
    ]
    project.bookmarks = {88: dict(BOOKMARK)}
    return project


@pytest.fixture
def saved() -> Iterator[Lab]:
    """Such a project, to be loaded to DuckDB."""
    with open_lab(saved_project()) as lab:
        lab.overrides = {"reports": [SAVED]}
        yield lab


def numbers_in(value: Any) -> list[float]:
    """Every number of a reply at any depth."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for inner in value for number in numbers_in(inner)]
    return [] if value is None or isinstance(value, (bool, str)) else [float(value)]


def test_funnel_with_two_breakdowns(any_lab: Lab) -> None:
    """One request, and each number of the reply in one row, with a level for each breakdown."""
    project = saved_project()
    any_lab.project.events, any_lab.project.funnels = project.events, project.funnels
    report = any_lab.sync("funnels", reports=[])
    assert report.failures == {}
    (record,) = (one for one in any_lab.sandbox.requests if one.path == "/api/query/funnels")
    reply = send(any_lab.sandbox, record.path, record.params).json()["data"]
    rows = any_lab.rows("funnel_steps")
    assert sorted(row["value"] for row in rows) == sorted(numbers_in(reply))
    day = str(YESTERDAY)
    found = {
        row["segment"]: row["value"]
        for row in rows
        if (str(row["date"]), row["step"], row["metric"]) == (day, 1, "count")
    }
    assert {
        json.dumps([value, plan], separators=(",", ":")): one["count"]
        for value, by_plan in reply[day].items()
        if value != "$overall"
        for plan, (one, _) in by_plan.items()
    } == {segment: count for segment, count in found.items() if segment != "$overall"}
    assert found["$overall"] == reply[day]["$overall"][0]["count"]
    assert {'["steps","2019-01-01"]', '["","$average"]', '["null",""]'} <= {*found}


@pytest.mark.parametrize("chart", ["line", "bar"])
def test_saved_report_by_a_date(saved: Lab, chart: str) -> None:
    """Values that are dates are levels of the segment; a chart without time has the last day."""
    saved.project.bookmarks[88]["chart"] = chart
    assert saved.sync("insights").failures == {}
    counts: Counter[tuple[str, str]] = Counter()
    for row in saved.rows("insights"):
        counts[str(row["date"]), row["segment"]] += row["value"]
    day = str(YESTERDAY) if chart == "line" else "2026-11-21"
    for value in VALUES:
        assert counts[day, f'["Order","{value}"]'] == 1
    assert {date for date, _ in counts} <= {f"2026-11-{number}" for number in range(14, 22)}


def test_changed_breakdown_leaves_no_rows(saved: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Rows with the earlier one are gone, on days that the range has left behind as well."""
    saved.sync("insights")
    assert "2026-11-14" in {str(row["date"]) for row in saved.rows("insights")}
    saved.project.bookmarks[88]["on"] = ["plan", "renewed"]
    saved.clock.advance(days=2)
    for _ in range(2):
        with caplog.at_level(logging.WARNING, "mixpanel_source"):
            saved.sync("insights")
        rows = saved.rows("insights")
        assert {str(row["date"]) for row in rows} == {f"2026-11-{day}" for day in range(16, 24)}
        assert {len(json.loads(row["segment"])) for row in rows} == {2, 3}
    assert caplog.text.count("insights Orders: its breakdowns were changed") == 1


def test_missing_segments_are_reported(saved: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Once a run, with the name of the report; the log of loads states it."""
    saved.project.bookmarks |= {88: {**BOOKMARK, "limit": 2}, 89: dict(BOOKMARK)}
    whole = {**SAVED, "name": "All of them", "params": {"bookmark_id": 89}}
    with caplog.at_level(logging.WARNING, "mixpanel_source"):
        saved.sync("insights", reports=[SAVED, whole])
    (message,) = (one for one in caplog.messages if "left out segments" in one)
    assert message.startswith("insights Orders: Mixpanel left out segments")
    assert "is_segmentation_limit_hit" in message
    loads = {row["part"]: row["is_truncated"] for row in saved.rows("_mixpanel_loads")}
    assert loads == {"Orders": True, "All of them": False}


def test_declared_report_is_cut_off_as_a_saved_one(
    saved: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """Its limit is sent, and that segments are missing is reported."""
    show = [{"behavior": {"type": "event", "name": "Order"}}]
    sections = {"show": show, "group": [{"value": "plan"}]}
    params = {"bookmark": {"sections": sections}, "limit": 2}
    declared = {"name": "Plans", "table": "insights_queries", "params": params}
    with caplog.at_level(logging.WARNING, "mixpanel_source"):
        saved.sync("insights_queries", reports=[declared])
    assert "insights_queries Plans: Mixpanel left out segments" in caplog.text
    assert "Raise limit in the params of the report" in caplog.text
    (record,) = saved.sandbox.requests
    assert json.loads(record.params["queryLimits"]) == {"limit": 2}
    assert record.params["project_id"] == str(saved.project.project_id)
    (load,) = saved.rows("_mixpanel_loads")
    assert load["is_truncated"]
    mask: dict[str, Any] = {"mask": {"plan": "hash"}, "mask_key": "k" * 16}
    with pytest.raises(ConfigError, match="reports Plans: its rows would have the values of plan"):
        saved.sync("insights_queries", reports=[declared], **mask)


def test_unknown_shape_costs_one_request(saved: Lab) -> None:
    """The report and what was expected are named; others of the run are loaded."""
    project: Any = saved.project
    project.jql = {"rows": "none"}
    script = {"name": "J", "table": "jql", "params": {"script": "function main() {}"}}
    report = saved.sync("reports", reports=[script, SAVED])
    failure = report.failures[TablePart("jql", "J")]
    assert isinstance(failure, ReplyError)
    assert str(failure).startswith("jql J: the reply is not a list, and a retry would not change")
    assert len(saved.requests_for("jql")) == 1
    assert [window.part for window in report.windows] == ["Orders"]
