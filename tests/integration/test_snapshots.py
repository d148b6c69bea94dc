"""Tables of a reply each: everything listed is loaded, and what is no longer listed goes."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from mixpanel_sandbox import Fault, Project, Record, made_up_project
from mixpanel_source import check
from mixpanel_source.catalog.tables import HISTORY_TABLES
from mixpanel_source.errors import PlanError, ReplyError, TruncatedError
from mixpanel_source.tables.package import TablePart
from tests.support.lab import Lab, open_lab
from tests.support.projects import YESTERDAY
from tests.support.raw_server import Params, http_json, raw_server

SNAPSHOTS = (
    "cohorts",
    "annotations",
    "lexicon",
    "projects",
    "data_pipelines",
    "lookup_tables",
)
MANAGED = (
    "feature_flags",
    "experiments",
    "service_accounts",
    "warehouse_imports",
    "workspaces",
    "bookmarks",
    "cohort_definitions",
    "dashboards",
    "alerts",
    "custom_events",
    "custom_properties",
    "drop_filters",
    "event_definitions",
    "property_definitions",
)


@pytest.fixture
def project() -> Project:
    """The made-up any_lab, which has some of everything."""
    return made_up_project(last_day=YESTERDAY, days=1)


def parsed(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """A row with JSON columns parsed, without dlt's own."""
    own = {name: value for name, value in row.items() if not name.startswith("_dlt")}
    texts = {name: own[name] for name in names if isinstance(own[name], str)}
    return {**own, **{name: json.loads(text) for name, text in texts.items()}}


def sorted_rows(lab: Lab, table: str, *json_names: str, by: str = "id") -> list[dict[str, Any]]:
    """The rows of a table as they were served."""
    rows = [parsed(row, *json_names) for row in lab.rows(table)]
    return sorted(rows, key=lambda row: str(row[by]))


def sorted_like(served: list[dict[str, Any]], by: str = "id") -> list[dict[str, Any]]:
    """What is served, in the same order."""
    return sorted(served, key=lambda row: str(row[by]))


def test_all_in_one_sync(any_lab: Lab) -> None:
    """Each table is what is served; only what Mixpanel counts is counted."""
    report = any_lab.sync(*SNAPSHOTS, *MANAGED, requests_per_hour=60)
    assert report.failures == {}
    project = any_lab.project
    annotations = sorted_rows(any_lab, "annotations", "user", "tags")
    assert annotations == sorted_like(project.annotations)
    assert sorted_rows(any_lab, "annotation_tags") == sorted_like(project.annotation_tags)
    assert sorted_rows(any_lab, "lookup_tables") == sorted_like(project.lookup_tables)
    (row,) = sorted_rows(any_lab, "projects", by="project_id")
    assert (row["project_id"], row["timezone"]) == (project.project_id, "UTC")
    for table, served in (
        ("cohorts", project.cohorts),
        ("cohort_definitions", project.cohorts),
        ("service_accounts", project.service_accounts),
        ("bookmarks", project.bookmarks),
        ("workspaces", [1]),
        ("dashboards", project.dashboards),
        ("alerts", project.alerts),
        ("custom_properties", project.custom_properties),
        ("drop_filters", project.drop_filters),
        ("event_definitions", project.event_definitions),
        ("property_definitions", project.property_definitions),
        ("custom_events", project.event_definitions[2:]),
    ):
        assert len(any_lab.rows(table)) == len(served), table
    check_managed_objects(any_lab)
    # of all that was asked only the cohorts count
    assert report.requests_left["query"] == 59
    loads = {row["table_name"]: row["rows"] for row in any_lab.rows("_mixpanel_loads")}
    assert loads["annotations"] == len(project.annotations)


def check_managed_objects(lab: Lab) -> None:
    """Flags, experiments and imports are loaded with their definitions; archived flags too."""
    flags = sorted_rows(lab, "feature_flags", "ruleset", "tags")
    assert [(row["key"], row["status"], row["ruleset"]) for row in flags] == [
        (flag["key"], flag["status"], flag["ruleset"])
        for flag in sorted_like(lab.project.feature_flags)
    ]
    (experiment,) = sorted_rows(lab, "experiments", "variants", "feature_flag")
    (served,) = lab.project.experiments
    assert experiment["variants"] == served["variants"]
    assert served["start_date"] == "2026-11-10T12:00:00Z"
    started = datetime(2026, 11, 10, 12, tzinfo=timezone.utc)
    assert experiment["start_date"] == started.timestamp() * 1_000_000
    (run, failed) = sorted_rows(lab, "warehouse_import_runs", by="position")
    assert (run["import_id"], run["num_events_imported"], failed["status"]) == (
        5501,
        1200,
        "FAILED",
    )
    (formula,) = lab.rows("custom_properties")
    assert (formula["custom_property_id"], formula["display_formula"]) == (91, "A - B")
    (drop,) = sorted_rows(lab, "drop_filters", "filters")
    assert (drop["event_name"], drop["filters"]) == ("Debug", [{"property": "x"}])
    assert [row["custom_event_id"] for row in lab.rows("custom_events")] == [52]
    account = sorted_rows(lab, "service_accounts")[1]
    assert (account["id"], account["has_sensitive_access"]) == (902, True)


def test_data_view_of_flags() -> None:
    """It is the configured one; else the one that shows everything; without any, nothing loads."""
    with open_lab(made_up_project(last_day=YESTERDAY, days=1)) as lab:
        own = {"project_id": lab.project.project_id, "name": "View"}
        lab.project.workspaces = [
            {**own, "id": 1, "is_default": True, "is_global": False},
            {**own, "id": 2, "is_default": False, "is_global": True},
        ]
        assert lab.sync("feature_flags").failures == {}
        assert "/workspaces/2/feature-flags" in lab.sandbox.requests[-1].path
        assert lab.sync("feature_flags", workspace_id=1).failures == {}
        assert ["/workspaces/1/" in record.path for record in lab.sandbox.requests] == [True]
        lab.project.workspaces = [{**own, "id": 3, "project_id": 9}]
        (failure,) = lab.sync("experiments").failures.values()
        assert isinstance(failure, ReplyError)
        assert "Set workspace_id" in str(failure)


def test_check_requests_what_a_sync_does() -> None:
    """With a data view and without one, no table is refused."""
    with open_lab(made_up_project(last_day=YESTERDAY, days=1)) as lab:
        for workspace_id in (None, 3448413):
            settings = {**lab.settings, "workspace_id": workspace_id}
            results = check(MANAGED, clock=lab.clock, **settings)
            assert results == dict.fromkeys(MANAGED)
        assert "/workspaces/3448413/experiments" in {*map(_tail, lab.sandbox.requests)}


def _tail(record: Record) -> str:
    return record.path[record.path.find("/workspaces") :]


def test_refused_address_that_is_not_documented(caplog: pytest.LogCaptureFixture) -> None:
    """It is reported, the table stays as it was, and the sync is a success."""
    with open_lab(made_up_project(last_day=YESTERDAY, days=1)) as lab:
        lab.sync("bookmarks")
        lab.sandbox.inject(Fault("403", table="bookmarks"), Fault("403", table="experiments"))
        result = lab.sync("bookmarks", "experiments", "cohort_definitions")
        assert [part.table for part in result.failures] == ["experiments"]
        assert "bookmarks: status 403" in caplog.text
        assert "is not documented" in caplog.text
        assert len(lab.rows("bookmarks")) == len(lab.project.bookmarks)
        assert len(lab.rows("cohort_definitions")) == len(lab.project.cohorts)


@pytest.mark.parametrize("last_cursor", [None, "b"])
def test_list_of_several_pages_is_followed(last_cursor: str | None) -> None:
    """Each page names the next one; a page that names itself ends the table with an error."""

    def answer(_path: str, params: Params) -> bytes:
        page = 2 if params.get("cursor") == "b" else 1
        cursor = last_cursor if page == 2 else "b"
        return http_json(
            {"status": "ok", "results": [{"id": page}], "pagination": {"next_cursor": cursor}}
        )

    with raw_server(answer) as server, open_lab(Project()) as lab:
        result = lab.sync("cohort_definitions", base_url=server.url)
        assert len(server.requests) == 2
        if last_cursor is None:
            assert result.failures == {}
            assert sorted(row["id"] for row in lab.rows("cohort_definitions")) == [1, 2]
        else:
            (failure,) = result.failures.values()
            assert "do not end" in str(failure)


def test_pipelines_come_with_their_runs(any_lab: Lab) -> None:
    """The list of pipelines, and a row for each of their runs with its state."""
    assert any_lab.sync("data_pipelines").failures == {}
    names = [row["name"] for row in sorted_rows(any_lab, "data_pipelines", by="name")]
    assert names == sorted(job["name"] for job in any_lab.project.pipelines)
    loaded = {
        (row["pipeline"], row["state"], row["run_at"]) for row in any_lab.rows("data_pipeline_runs")
    }
    runs = any_lab.project.pipeline_runs.items()
    assert loaded == {(name, run["state"], run["run_at"]) for name, all_ in runs for run in all_}


def test_lexicon_has_a_row_for_each_property(any_lab: Lab) -> None:
    """Entities and their properties are rows; nothing of a definition is lost."""
    assert any_lab.sync("lexicon").failures == {}
    rows = [parsed(row, "definition", "tags") for row in any_lab.rows("lexicon")]
    found = {(row["entity_type"], row["entity"], row["property"]): row for row in rows}
    assert len(found) == len(rows)
    for entity in any_lab.project.schemas:
        schema = entity["schemaJson"]
        of = (entity["entityType"], entity["name"])
        key = (*of, "")
        assert found[key]["description"] == schema.get("description")
        for name, definition in schema["properties"].items():
            key = (*of, name)
            row = found[key]
            assert row["definition"] == definition
            assert row["description"] == definition.get("description")
            assert row["type"] == definition.get("type")


def test_schema_without_a_name_is_loaded(any_lab: Lab) -> None:
    """It comes with its properties, as any other."""
    schema = {"description": "Whoever", "properties": {"plan": {"type": "string"}}}
    any_lab.project.schemas = [{"entityType": "profile", "name": None, "schemaJson": schema}]
    assert any_lab.sync("lexicon").failures == {}
    rows = any_lab.rows("lexicon")
    found = {(row["entity"], row["property"], row["description"], row["type"]) for row in rows}
    assert found == {(None, "", "Whoever", None), (None, "plan", None, "string")}


def test_what_no_database_takes_is_repaired(any_lab: Lab) -> None:
    """It is counted, and all else is loaded."""
    any_lab.project.annotations[0]["description"] = "a\0b"
    any_lab.project.annotations[1]["user"] = {"first_name": "\ud800"}
    assert any_lab.sync("annotations").failures == {}
    first, second, _ = sorted_rows(any_lab, "annotations", "user")
    assert (first["description"], second["user"]) == ("a\ufffdb", {"first_name": "\ufffd"})
    told = {row["table_name"]: row["values_repaired"] for row in any_lab.rows("_mixpanel_loads")}
    assert told == {"annotations": 2, "annotation_tags": 0}


def test_what_is_no_longer_listed_goes(any_lab: Lab) -> None:
    """A table is replaced as a whole, also by nothing."""
    any_lab.sync("annotations", "lexicon", "lookup_tables", "data_pipelines")
    project = any_lab.project
    project.annotations[:] = [{**project.annotations[0], "description": "changed"}]
    for listed in (
        project.annotation_tags,
        project.schemas,
        project.lookup_tables,
        project.pipelines,
    ):
        listed.clear()
    assert any_lab.sync("annotations", "lexicon", "lookup_tables", "data_pipelines").failures == {}
    assert sorted_rows(any_lab, "annotations", "user", "tags") == project.annotations
    for table in ("annotation_tags", "lexicon", "lookup_tables", "data_pipelines"):
        assert any_lab.rows(table) == [], table
    assert any_lab.rows("data_pipeline_runs") == []


@pytest.mark.parametrize("fault", ["unterminated", "html"])
def test_reply_that_is_no_list_is_refused(fault: str) -> None:
    """It leaves the table as it was, and stops no other."""
    with open_lab(made_up_project(last_day=YESTERDAY, days=1)) as lab:
        lab.sync("annotations")
        before = lab.rows("annotations")
        lab.sandbox.inject(Fault(fault, table="annotations", times=6))
        report = lab.sync("annotations", "lookup_tables")
        assert isinstance(report.failures[TablePart("annotations")], TruncatedError)
        assert lab.rows("annotations") == before
        assert lab.rows("lookup_tables")


def test_free_plan_has_all_but_cohorts() -> None:
    """What is not of the Query API is there on every plan."""
    with open_lab(made_up_project(last_day=YESTERDAY, days=1)) as lab:
        lab.project.plan = "free"
        report = lab.sync(*SNAPSHOTS)
        assert {table: type(error) for table, error in report.failures.items()} == {
            TablePart("cohorts"): PlanError
        }


def versions(lab: Lab, table: str, key: str = "name") -> dict[Any, list[bool]]:
    """Value of a column -> for each row that has it whether it is current."""
    found: dict[Any, list[bool]] = {}
    for row in lab.rows(table):
        found.setdefault(row[key], []).append(row["_dlt_valid_to"] is None)
    return found


def test_history(any_lab: Lab) -> None:
    """A changed row is closed and opened anew, a deleted one closed, an unchanged one kept."""
    tables = ("feature_flags", "cohorts")
    any_lab.overrides = {"history": tables}
    assert any_lab.sync(*tables).failures == {}
    number = len(any_lab.rows("cohorts"))
    changed, *others = any_lab.project.feature_flags
    any_lab.project.feature_flags = [{**changed, "name": "Renamed", "ruleset": {"a": [1]}}]
    any_lab.project.cohorts = []
    result = any_lab.sync(*tables)
    assert result.rows["feature_flags"] == 1
    assert len(any_lab.rows("cohorts")) == number
    assert versions(any_lab, "feature_flags") == {
        **{flag["name"]: [False] for flag in [changed, *others]},
        "Renamed": [True],
    }
    assert {*map(tuple, versions(any_lab, "cohorts", "id").values())} == {(False,)}
    any_lab.project.feature_flags = [changed, *others]
    any_lab.sync("feature_flags")
    assert versions(any_lab, "feature_flags")[changed["name"]] == [False, True]


@pytest.mark.slow
def test_history_of_every_list(any_lab: Lab) -> None:
    """What did not change has a single version after two syncs."""
    assert any_lab.sync(*HISTORY_TABLES, history=HISTORY_TABLES).failures == {}
    before = {table: len(any_lab.rows(table)) for table in HISTORY_TABLES}
    any_lab.sync(*HISTORY_TABLES, history=HISTORY_TABLES)
    assert {table: len(any_lab.rows(table)) for table in HISTORY_TABLES} == before


@pytest.mark.slow
def test_history_that_begins_and_ends_later(any_lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """What was loaded before is the first version; a history is kept until the table is dropped."""
    any_lab.sync("feature_flags")
    number = len(any_lab.rows("feature_flags"))
    any_lab.sync("feature_flags", history=["feature_flags"])
    assert {*map(tuple, versions(any_lab, "feature_flags").values())} == {(True,)}
    changed, *others = any_lab.project.feature_flags
    any_lab.project.feature_flags = [{**changed, "name": "Renamed"}, *others]
    any_lab.sync("feature_flags", history=["feature_flags"])
    any_lab.project.feature_flags = others
    any_lab.sync("feature_flags")
    assert "it keeps its history, although history no longer names it" in caplog.text
    found = versions(any_lab, "feature_flags")
    assert (found[changed["name"]], found["Renamed"]) == ([False], [False])
    assert len(any_lab.rows("feature_flags")) == number + 1
