"""Declared reports: the tables are what is served, day by day, whatever happens on the way."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from mixpanel_sandbox import Fault, Project
from mixpanel_source import Checkpoint
from mixpanel_source.catalog.tables import REPORT_TABLES
from mixpanel_source.cli import FAILED
from mixpanel_source.config.providers import load_config
from mixpanel_source.config.reports import endpoint_of
from mixpanel_source.errors import ConfigError
from mixpanel_source.tables.package import TablePart
from mixpanel_source.tables.reports.loading import count_requests
from tests.support.lab import Lab, open_lab
from tests.support.projects import TODAY, YESTERDAY, add_event, make_project
from tests.support.sandbox_calls import send
from tests.support.settings import write_dlt_file

ORDERS: dict[str, Any] = {
    "name": "Orders by plan",
    "table": "segmentation",
    "params": {"event": "Order", "on": 'properties["plan"]'},
    "since": "2026-11-13",
    "days": 3,
}
WITH_PRICE = {"event": "Order", "on": 'properties["price"]'}
KINDS = {"type": "general", "unit": "week"}
PARAMS: dict[str, dict[str, Any]] = {
    "funnels": {"funnel_id": 7509, "on": 'properties["plan"]'},
    "insights": {"bookmark_id": 88},
    "insights_queries": {
        "bookmark": {
            "sections": {
                "show": [{"behavior": {"type": "event", "name": "Order"}}],
                "group": [{"value": "plan"}],
                "time": [{"unit": "day", "window": {"unit": "day", "value": 8}}],
            }
        }
    },
    "flows": {"bookmark": {"steps": [{"event": "Sign up"}, {"event": "Order"}]}},
    "segmentation": {**WITH_PRICE, "type": "unique", "unit": "hour"},
    "segmentation_numeric": WITH_PRICE,
    "segmentation_sum": WITH_PRICE,
    "segmentation_average": WITH_PRICE,
    "retention": {"born_event": "Sign up", "event": "Order", "interval_count": 2},
    "frequency": {"unit": "week", "addiction_unit": "day", "on": 'properties["plan"]'},
    "event_counts": {"event": ["Order", "Sign up"], **KINDS},
    "event_properties": {"event": "Order", "name": "plan", **KINDS},
    "top_events": {"type": "general"},
    "event_names": {"type": "general"},
    "top_properties": {"event": "Order"},
    "property_values": {"event": "Order", "name": "plan"},
    "activity": {"distinct_ids": ["u0", "u1"]},
    "jql": {"script": "function main() { return People() }", "params": {"a": 1}},
}
EVERYTHING = [{"name": f"My {t}", "table": t, "params": one} for t, one in PARAMS.items()]


def saved_project() -> Project:
    """A week of events, also of today, with a funnel, a saved report and a script's answer."""
    project = make_project()
    for number in range(2):
        add_event(project, TODAY, number)
    project.funnels = [
        {"funnel_id": 7509, "name": "Buy", "steps": ["Sign up", "Order"], "length": 2},
        {"funnel_id": 9070, "name": "Buy twice", "steps": ["Order", "Order"], "length": 2},
    ]
    project.bookmarks = {
        88: {"name": "Plans", "events": ["Order"], "on": ["plan"], "days": 8, "unit": "week"}
    }
    project.jql = [{"n": 1, "text": "a\0b"}, {"big": 2**70}]
    return project


@pytest.fixture
def saved() -> Iterator[Lab]:
    """Such a project, to be loaded to DuckDB."""
    with open_lab(saved_project()) as lab:
        yield lab


def rows_of(lab: Lab, table: str) -> list[dict[str, Any]]:
    """The rows of a table of reports, in order."""
    name = "funnel_steps" if table == "funnels" else table
    return sorted(lab.rows(name), key=lambda row: orjson.dumps(row, default=str))


def leaves(value: Any) -> list[float]:
    """Every number of a reply at any depth."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for one in value for number in leaves(one)]
    return [] if value is None or isinstance(value, (bool, str)) else [float(value)]


def served(lab: Lab, table: str) -> Any:
    """What the sandbox answers to what it was asked for a table, without its envelope."""
    asks = endpoint_of(table)
    address = (asks.method, asks.path)
    (record,) = (one for one in lab.sandbox.requests if (one.method, one.path) == address)
    reply = send(lab.sandbox, asks.path, record.params, method=asks.method).json()
    return reply if asks.rows is None else reply[asks.rows]


def days_asked(lab: Lab, table: str) -> list[tuple[str, str]]:
    """The first and last day of each request for a table since the last job began."""
    asked = [one for one in lab.sandbox.requests if one.path == endpoint_of(table).path]
    return [(record.params["from_date"], record.params["to_date"]) for record in asked]


def count_by_segment(lab: Lab) -> Counter[tuple[str, str]]:
    """Day and segment -> sum of the values, in `segmentation`."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in lab.rows("segmentation"):
        counts[str(row["date"]), row["segment"]] += row["value"]
    return counts


def test_tables_are_what_is_served(any_lab: Lab) -> None:
    """One report for each table, in one package: every number, name, event and row, once."""
    made = saved_project()
    any_lab.project.funnels, any_lab.project.jql = made.funnels, made.jql
    any_lab.project.bookmarks, any_lab.project.events = made.bookmarks, made.events
    source = any_lab.source(*REPORT_TABLES, reports=EVERYTHING)
    any_lab.pipeline.run(source, loader_file_format="parquet")
    for table in REPORT_TABLES:
        rows, reply = rows_of(any_lab, table), served(any_lab, table)
        assert rows, table
        assert {row["report"] for row in rows} == {f"My {table}"}
        if table == "activity":
            days = [str(row["date"]) for row in rows]
            assert len(rows) == len(reply["events"])
            assert (min(days), max(days)) == ("2026-11-13", "2026-11-20")
        elif table == "jql":
            assert [orjson.loads(row["row"])["n"] for row in rows[:1]] == [1]
            assert len(rows) == 2
        elif table == "flows":
            entries = [orjson.loads(row["row"]) for row in rows]
            assert [row["steps"] for row in entries if "steps" in row] == reply["steps"]
            assert {name for row in entries for name in row} == {*reply} - {"breakdowns"}
        elif table in {"event_names", "property_values"}:
            assert [row["name"] for row in rows] == reply
        else:
            assert sorted(row["value"] for row in rows) == sorted(leaves(reply)), table
    with any_lab.pipeline.sql_client() as client:
        found = client.execute_sql("SELECT date, row FROM mixpanel.activity, mixpanel.jql") or ()
        assert len(found) == 2 * len(any_lab.rows("activity"))


def test_trailing_days_are_read_again(any_lab: Lab) -> None:
    """A segment that has vanished from them is gone; one of a day before them stays."""
    any_lab.overrides = {"reports": [ORDERS]}
    assert any_lab.sync("segmentation").failures == {}
    assert days_asked(any_lab, "segmentation") == [("2026-11-13", "2026-11-20")]
    before = count_by_segment(any_lab)
    assert before["2026-11-20", "pro"] == before["2026-11-13", "pro"] == 1
    for day in (YESTERDAY, date(2026, 11, 13)):
        lines = any_lab.project.events[day]
        any_lab.project.events[day] = [line for line in lines if b'"pro"' not in line]
    any_lab.clock.advance(days=1)
    any_lab.sync("segmentation")
    assert days_asked(any_lab, "segmentation") == [("2026-11-19", "2026-11-21")]
    del before["2026-11-20", "pro"]
    assert count_by_segment(any_lab) == before
    del any_lab.project.events[YESTERDAY]
    any_lab.sync("segmentation")
    assert {day for day, _ in count_by_segment(any_lab)} == {day for day, _ in before} - {
        "2026-11-20"
    }
    assert len(any_lab.rows("segmentation")) == 14


def test_funnels_are_all_that_are_saved(saved: Lab) -> None:
    """The list and every funnel of it; one that is renamed or gone is so after the next sync."""
    report = saved.sync("funnels")
    assert report.failures == {}
    assert [window.part for window in report.windows] == ["", "7509", "9070"]
    listed = {row["funnel_id"]: row["name"] for row in saved.rows("funnels")}
    assert listed == {7509: "Buy", 9070: "Buy twice"}
    steps = rows_of(saved, "funnels")
    assert {row["report"] for row in steps} == {"7509", "9070"}
    assert {row["label"] for row in steps if row["step"] == 1} == {"Sign up", "Order"}
    saved.project.funnels = [{**saved.project.funnels[0], "name": "Renamed"}]
    saved.sync("funnels")
    assert saved.rows("funnels") == [{"funnel_id": 7509, "name": "Renamed"}]
    assert rows_of(saved, "funnels") == steps
    saved.project.funnels = []
    saved.sync("funnels")
    assert saved.rows("funnels") == []


def test_requests_are_foretold(saved: Lab) -> None:
    """As many as are declared; for funnels, as many as there were, and one for the list."""
    given = {**saved.settings, "reports": [ORDERS, {**ORDERS, "name": "Two"}]}
    config = load_config(given)
    assert count_requests("segmentation", config, {}) == 2
    assert count_requests("funnels", config, {}) is None
    saved.sync("funnels")
    state: Any = saved.pipeline.state["sources"]
    assert count_requests("funnels", config, state["mixpanel"]["resources"]["funnels"]) == 3
    assert len(saved.sandbox.requests) == 3
    # a package for each, and still the list is asked for once
    saved.sync("funnels", checkpoint=Checkpoint(bytes=1))
    assert len(saved.sandbox.requests) == 3
    declared = {"name": "Mine", "table": "funnels", "params": {"funnel_id": 9070}}
    saved.sync("funnels", reports=[declared])
    assert len(saved.sandbox.requests) == 1
    assert {row["report"] for row in saved.rows("funnel_steps")} == {"7509", "9070", "Mine"}


def test_failed_report_does_not_stop_the_others() -> None:
    """One that passes is tried again; one that stays is named, and the others are loaded."""
    reports = [{**ORDERS, "name": name} for name in ("A", "B", "C")]
    faults = [Fault("html", table="segmentation"), Fault("403", table="segmentation", request=3)]
    with open_lab(saved_project(), faults=faults) as lab:
        report = lab.sync("reports", reports=reports)
        assert [window.requests for window in report.windows] == [2, 1]
        assert list(report.failures) == [TablePart("segmentation", "B")]
        assert report.exit_code == FAILED
        assert {row["report"] for row in lab.rows("segmentation")} == {"A", "C"}
        assert lab.sync("reports", reports=reports).failures == {}
        # the one that is behind goes first
        assert days_asked(lab, "segmentation") == [
            ("2026-11-13", "2026-11-20"),
            ("2026-11-18", "2026-11-20"),
            ("2026-11-18", "2026-11-20"),
        ]


def test_quota_is_kept() -> None:
    """Thirty reports fit into the sixty of an hour; the second time the last one waits for it."""
    reports = [{**ORDERS, "name": f"Report {number}"} for number in range(30)]
    with open_lab(saved_project(), queries_per_hour=60) as lab:
        lab.overrides = {"reports": reports, "requests_per_hour": 60}
        assert lab.sync("reports").failures == {}
        assert sum(lab.clock.sleeps) < 60
        assert lab.sync("cohorts").failures == {}
        assert lab.sync("reports").failures == {}
        assert [record.status for record in lab.sandbox.requests] == [200] * 30
        assert sum(lab.clock.sleeps) > 3_000
        assert len({row["report"] for row in lab.rows("segmentation")}) == 30


def test_killed_load_is_loaded_again(saved: Lab) -> None:
    """After a crash before the first load was done, and before the second, rows are there once."""
    saved.overrides = {"reports": [ORDERS]}
    for _ in range(2):
        saved.leave_pending_package("segmentation")
        saved.sync("segmentation")
        assert count_by_segment(saved).total() == len(saved.rows("segmentation")) == 16


def test_changed_declaration_is_loaded_anew(saved: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """A warning, and all days from `since` on."""
    saved.sync("segmentation", reports=[ORDERS])
    changed = {**ORDERS, "params": {**ORDERS["params"], "type": "unique"}}
    with caplog.at_level(logging.WARNING, "mixpanel_source"):
        saved.sync("segmentation", reports=[changed])
    assert "segmentation Orders by plan: its declaration has changed" in caplog.text
    assert days_asked(saved, "segmentation") == [("2026-11-13", "2026-11-20")]
    assert {row["metric"] for row in saved.rows("segmentation")} == {"unique"}


def test_first_day_stays_where_it_was(saved: Lab) -> None:
    """Without `since` it is that of the first load: what retention counts depends on it."""
    declared = {"name": "R", "table": "retention", "params": PARAMS["retention"], "days": 5}
    for _ in range(2):
        saved.sync("retention", reports=[declared])
        saved.clock.advance(days=1)
    assert days_asked(saved, "retention") == [("2026-11-16", "2026-11-21")]


def test_history_of_what_says_no_day(saved: Lab) -> None:
    """The day of the reading is that of the rows; a day is read anew, others stay."""
    saved.overrides = {"reports": [one for one in EVERYTHING if one["table"] == "top_properties"]}
    for days in (0, 0, 1):
        saved.clock.advance(days=days)
        saved.sync("reports")
    found = Counter(str(row["date"]) for row in saved.rows("top_properties"))
    assert found == {"2026-11-21": 6, "2026-11-22": 6}


def test_saved_report_keeps_whole_weeks(saved: Lab) -> None:
    """When its days have moved on, the week they cut is not replaced by the rest of it."""
    saved.overrides = {"reports": [one for one in EVERYTHING if one["table"] == "insights"]}
    saved.sync("insights")
    saved.clock.advance(days=8)
    saved.sync("insights")
    values = {
        str(row["date"]): row["value"]
        for row in saved.rows("insights")
        if row["segment"] == '["Order","$overall"]'
    }
    assert values == {"2026-11-09": 4, "2026-11-16": 11, "2026-11-23": 0}


def test_names_are_replaced_as_a_whole(saved: Lab) -> None:
    """Fewer names, and none, leave no rest of what was; another report is left alone."""
    values = {"table": "property_values", "params": PARAMS["property_values"]}
    saved.overrides = {"reports": [{"name": "A", **values}, {"name": "B", **values}]}
    saved.sync("reports")
    assert len(saved.rows("property_values")) == 4
    saved.project.events.clear()
    saved.sync("reports", reports=[{"name": "A", **values}])
    assert [row["report"] for row in saved.rows("property_values")] == ["B", "B"]


def test_nothing_is_declared(saved: Lab) -> None:
    """A table of reports, or all of them, without one is a wrong setting; nothing is asked."""
    with pytest.raises(ConfigError, match="reports declares none for the table frequency"):
        saved.sync("export", "frequency", reports=[ORDERS])
    with pytest.raises(ConfigError, match="the setting reports is empty"):
        saved.sync("reports")
    assert saved.sandbox.requests == []


def test_first_day_is_to_come(saved: Lab) -> None:
    """A report that begins tomorrow asks for nothing today."""
    later = {**ORDERS, "since": str(TODAY + timedelta(days=1))}
    assert saved.sync("reports", reports=[later]).windows == []
    assert saved.sandbox.requests == []


def test_script_in_a_file(saved: Lab, tmp_path: Path) -> None:
    """It is read where .dlt/ is, when it is run; one that is missing is named."""
    (tmp_path / "people.js").write_text("function main() { return Äpfel }", encoding="utf-8")
    params = {"script_file": "people.js"}
    saved.overrides = {"reports": [{"name": "J", "table": "jql", "params": params}]}
    saved.sync("reports")
    (record,) = saved.sandbox.requests
    assert record.params["script"] == "function main() { return Äpfel }"
    (tmp_path / "people.js").unlink()
    failure = saved.sync("reports").failures[TablePart("jql", "J")]
    assert isinstance(failure, ConfigError)
    assert re.search("reports J: script_file .*people.js cannot be read", str(failure))


def test_end_of_jql_is_announced_once(saved: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Each run that loads JQL scripts warns that Mixpanel is retiring them; others do not."""
    script = {"table": "jql", "params": {"script": "function main() { return People() }"}}
    saved.overrides = {"reports": [{"name": name, **script} for name in "ABC"]}
    saved.sync("cohorts", "reports")
    assert caplog.text.count("Mixpanel is retiring JQL") == 1
    caplog.clear()
    saved.sync("cohorts")
    assert "JQL" not in caplog.text


def test_declared_in_a_file_or_a_variable(
    saved: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An array of tables in config.toml and JSON in the environment are what an argument is."""
    given = load_config({**saved.settings, "reports": [ORDERS]})
    text = (
        '[[sources.mixpanel.reports]]\nname = "Orders by plan"\ntable = "segmentation"\n'
        "since = 2026-11-13\ndays = 3\n"
        """params = { event = "Order", on = 'properties["plan"]' }\n"""
    )
    write_dlt_file(tmp_path, "config.toml", text)
    assert load_config(saved.settings).reports == given.reports
    saved.sync("reports")
    assert len(saved.rows("segmentation")) == 16
    write_dlt_file(tmp_path, "config.toml", "")
    monkeypatch.setenv("SOURCES__MIXPANEL__REPORTS", orjson.dumps([ORDERS]).decode())
    assert load_config(saved.settings).reports == given.reports
