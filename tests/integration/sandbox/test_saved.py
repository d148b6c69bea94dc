"""Saved objects: reports, annotations, schemas, data pipelines and lookup tables; and JQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from mixpanel_sandbox import PROJECT_SECRET, Project, Sandbox
from tests.integration.sandbox.projects import report_project
from tests.support.sandbox_calls import Response, basic_auth, send

APP = "/api/app/projects/1234567"
NESSIE = "/api/2.0/nessie/pipeline"


def annotation(number: int, date: str, *tags: int) -> dict[str, Any]:
    """Return an annotation in API format."""
    named = [{"id": tag, "name": f"tag {tag}"} for tag in tags]
    return {"id": number, "date": date, "description": "", "tags": named}


def run(state: str, day: str, finish: str = "") -> dict[str, Any]:
    """Return a pipeline run in API format."""
    return {"state": state, "from_date": day, "to_date": day, "last_finish": finish}


@pytest.fixture
def project() -> Project:
    """The project, which the test may change."""
    project = report_project()
    project.bookmarks = {
        5: {"name": "Views", "events": ["View", "Buy"], "on": [], "days": 5, "unit": "day"},
        6: {"name": "", "events": ["View"], "on": ["plan", "tags"], "days": 7, "unit": "week"},
    }
    project.annotations = [
        annotation(1, "2026-11-01T23:30:00-08:00", 7),
        annotation(2, "2026-11-05 12:00:00", 7, 8),
        annotation(3, "2026-11-09T00:00:00+00:00"),
    ]
    project.annotation_tags = [{"id": 7, "name": "tag 7", "has_annotations": True}]
    project.schemas = [
        {"entityType": "event", "name": "Added To/Cart", "schemaJson": {"description": "one"}},
        {"entityType": "profile", "name": "$user", "schemaJson": {"description": "two"}},
    ]
    project.lookup_tables = [{"id": "55b4fb2b-e8de-466c-930f-8b36640b9b5e", "name": "Shops"}]
    project.pipelines = [{"name": "p", "Dispatcher": "backfill"}, {"name": "q"}]
    project.pipeline_runs = {
        "p": [
            run("succeeded", "2026-11-02", "second"),
            run("succeeded", "2026-11-01", "first"),
            run("failed", "2026-11-01", "none"),
            run("pending", "2026-11-03"),
        ]
    }
    return project


def app(sandbox: Sandbox, path: str, **params: object) -> Response:
    """Send an app API request for the project."""
    return send(sandbox, f"{APP}/{path}", {"project_id": None, **params})


def results(sandbox: Sandbox, path: str, **params: object) -> Any:
    """Send an app API request and return its results without the envelope."""
    response = app(sandbox, path, **params)
    assert (response.status, response.json()["status"]) == (200, "ok")
    return response.json()["results"]


def test_saved_report_ends_today(sandbox: Sandbox) -> None:
    """Its keys are the starts of days with the UTC offset."""
    response = send(sandbox, "/api/query/insights", {"bookmark_id": 5}).json()
    assert response["headers"] == ["$event"]
    assert response["date_range"] == {
        "from_date": "2026-11-16T00:00:00-08:00",
        "to_date": "2026-11-20T23:59:59.999000-08:00",
    }
    days = [f"2026-11-{day}T00:00:00-08:00" for day in range(16, 21)]
    assert response["series"] == {
        "View": dict(zip(days, (3, 1, 0, 0, 0), strict=True)),
        "Buy": dict(zip(days, (1, 0, 1, 0, 0), strict=True)),
    }


def test_saved_report_with_breakdowns(sandbox: Sandbox) -> None:
    """Each property is a level of nesting, with `$overall` beside its values."""
    response = send(sandbox, "/api/query/insights", {"bookmark_id": 6}).json()
    assert response["headers"] == ["$event", "plan", "tags"]

    def week(count: int) -> dict[str, int]:
        return {"2026-11-09T00:00:00-08:00": 0, "2026-11-16T00:00:00-08:00": count}

    assert response["series"] == {
        "View": {
            "$overall": week(4),
            "pro": {"$overall": week(2), "a": week(1), "b": week(2)},
            "free": {"$overall": week(1), "undefined": week(1)},
            "undefined": {"$overall": week(1), "undefined": week(1)},
        }
    }


def test_bar_chart_with_a_limit(sandbox: Sandbox, project: Project) -> None:
    """Sums have the key `all`; a limit leaves out the smallest segments, which `meta` states."""
    assert not send(sandbox, "/api/query/insights", {"bookmark_id": 6}).json()["meta"][
        "is_segmentation_limit_hit"
    ]
    project.bookmarks[6] |= {"chart": "bar", "limit": 1}
    response = send(sandbox, "/api/query/insights", {"bookmark_id": 6}).json()
    assert response["meta"]["is_segmentation_limit_hit"]
    assert response["series"] == {
        "View": {"$overall": {"all": 4}, "pro": {"$overall": {"all": 2}, "b": {"all": 2}}}
    }


def test_unknown_saved_report(sandbox: Sandbox) -> None:
    """An unknown id is a 400."""
    response = send(sandbox, "/api/query/insights", {"bookmark_id": 7})
    assert (response.status, response.json()["error"]) == (400, "bookmark_id 7 does not exist")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [1, 2, 3]),
        ({"fromDate": "2026-11-01", "toDate": "2026-11-05"}, [1, 2]),
        ({"fromDate": "2026-11-02"}, [2, 3]),
        ({"toDate": "2026-11-01"}, [1]),
        ({"tags": "7"}, [1, 2]),
        ({"tags": "[8, 9]"}, [2]),
        ({"tags": "9,8"}, [2]),
    ],
)
def test_filtered_annotations(
    sandbox: Sandbox, params: dict[str, object], expected: list[int]
) -> None:
    """The date range is inclusive; annotations with any of the tags match."""
    annotations = results(sandbox, "annotations", **params)
    assert [annotation["id"] for annotation in annotations] == expected


def test_annotation_by_id_and_tags(sandbox: Sandbox, project: Project) -> None:
    """`tags` is not taken for an id; the tags have no envelope."""
    assert results(sandbox, "annotations/2") == project.annotations[1]
    assert app(sandbox, "annotations/tags").json() == project.annotation_tags
    response = app(sandbox, "annotations/4")
    assert response.status == 404
    assert response.json() == {"status": "error", "error": "Annotation not found"}


def test_schemas(sandbox: Sandbox, project: Project) -> None:
    """Schemas can be read all, by type, or by type and name, quoted in the path."""
    assert results(sandbox, "schemas") == project.schemas
    assert results(sandbox, "schemas/profile") == project.schemas[1:]
    assert results(sandbox, "schemas/event", entity_name="x") == []
    name = quote("Added To/Cart", safe="")
    assert app(sandbox, f"schemas/event/{name}").json() == {"description": "one"}
    assert app(sandbox, f"schemas/profile/{name}").status == 404
    assert app(sandbox, "schemas/group").status == 400
    assert app(sandbox, "schemas/event/a/b").status == 404


def test_app_api_of_another_project(sandbox: Sandbox, project: Project) -> None:
    """Another project or region is a 403, in the envelope of the app API."""
    paths = [f"/api/app/projects/1/{path}" for path in ("annotations", "schemas")]
    responses = [send(sandbox, path) for path in paths]
    with Sandbox(project, wrong_region=True) as elsewhere:
        responses.append(app(elsewhere, "annotations"))
    for response in responses:
        assert response.status == 403
        assert response.json().keys() == {"status", "error"}
        assert response.json()["status"] == "error"


def test_data_pipelines(sandbox: Sandbox, project: Project) -> None:
    """Runs are grouped by state or counted; an unknown pipeline is a 404."""
    assert send(sandbox, f"{NESSIE}/jobs").json() == {"1234567": project.pipelines}
    runs = project.pipeline_runs["p"]
    result = send(sandbox, f"{NESSIE}/status", {"name": "p"}).json()
    assert {state: some for state, some in result.items() if some} == {
        "succeeded": runs[:2],
        "failed": [runs[2]],
        "pending": [runs[3]],
    }
    params = {"name": "p", "summary": "true", "status": '["failed", "succeeded"]'}
    counted = send(sandbox, f"{NESSIE}/status", params).json()
    assert counted == {"failed": 1, "succeeded": 2}
    assert not any(send(sandbox, f"{NESSIE}/status", {"name": "q"}).json().values())
    missing = send(sandbox, f"{NESSIE}/status", {"name": "r"})
    assert missing.status == 404
    assert missing.json() == {"status": "error", "error": "pipeline r does not exist"}
    assert send(sandbox, f"{NESSIE}/status").status == 400


@pytest.mark.parametrize("params", [{}, {"name": "p"}])
def test_data_pipeline_timeline(sandbox: Sandbox, params: dict[str, str]) -> None:
    """A day is synced if a run of it succeeded."""
    assert send(sandbox, f"{NESSIE}/timeline", params).json() == {
        "day_syncs": [
            {"date": "2026-11-01", "sync_times": ["first"], "status": "synced"},
            {"date": "2026-11-02", "sync_times": ["second"], "status": "synced"},
            {"date": "2026-11-03", "sync_times": [], "status": "pending"},
        ]
    }


def test_lookup_tables(sandbox: Sandbox, project: Project) -> None:
    """Responses and errors have the envelope of the ingestion host."""
    expected = {"code": 200, "status": "OK", "results": project.lookup_tables}
    assert send(sandbox, "/lookup-tables").json() == expected
    response = send(sandbox, "/lookup-tables", headers=basic_auth(secret="wrong"))
    assert response.status == 401
    assert response.json() == {
        "code": 401,
        "error": "Invalid credentials",
        "status": "Unauthorized",
    }


def test_project_secret_is_rejected_by_the_app_api(sandbox: Sandbox) -> None:
    """The app API only accepts service accounts."""
    headers = basic_auth(PROJECT_SECRET, "")
    assert send(sandbox, f"{NESSIE}/jobs", headers=headers).status == 200
    assert send(sandbox, f"{APP}/annotations", headers=headers).status == 401


def script(sandbox: Sandbox, code: str, **params: object) -> Response:
    """Post a script."""
    body = urlencode({"script": code, "params": json.dumps(params)})
    return send(sandbox, "/api/query/jql", method="POST", body=body)


def test_jql(sandbox: Sandbox, project: Project) -> None:
    """The result is the number of events by name in a date range, or `Project.jql`."""
    code = "function main() { return Events(params) /* ')' */ }"
    days = {"from_date": "2026-11-17", "to_date": "2026-11-18T00:00:00.000Z"}
    assert script(sandbox, code, **days).json() == [
        {"key": ["Buy"], "value": 1},
        {"key": ["Cart"], "value": 2},
        {"key": ["View"], "value": 1},
    ]
    assert {row["key"][0] for row in script(sandbox, code).json()} == {
        "Buy",
        "Cart",
        "View",
        "Ping",
    }
    project.jql = [{"any": "thing"}]
    assert script(sandbox, code).json() == [{"any": "thing"}]


@pytest.mark.parametrize(
    "code", ["function main() { throw new Error('no') }", "function main( { return [] }"]
)
def test_failing_scripts(sandbox: Sandbox, code: str) -> None:
    """The status is 412; the body has the request and the error."""
    response = script(sandbox, code)
    assert response.status == 412
    assert response.json().keys() == {"request", "error"}
    assert response.json()["request"] == "/api/query/jql?project_id=1234567"


def test_invalid_script_parameters(sandbox: Sandbox) -> None:
    """Each is a 400."""
    for params in ("[]", "x", '{"from_date": "soon"}'):
        body = urlencode({"script": "main()", "params": params})
        response = send(sandbox, "/api/query/jql", method="POST", body=body)
        assert (response.status, response.json()["error"][:16]) == (400, "Error in params:")
    assert send(sandbox, "/api/query/jql", method="POST").status == 400


def test_saved_objects_from_files(tmp_path: Path, project: Project) -> None:
    """Each field has its file; keys that are ids become integers again."""
    names = ["funnels", "bookmarks", "annotations", "annotation_tags", "schemas"]
    names += ["lookup_tables", "pipelines", "pipeline_runs"]
    for name in names:
        path = tmp_path / f"{name.replace('_', '-')}.json"
        path.write_text(json.dumps(getattr(project, name)), encoding="utf-8")
    read = Project.from_directory(tmp_path)
    for name in names:
        assert getattr(read, name) == getattr(project, name) != getattr(Project(), name)
