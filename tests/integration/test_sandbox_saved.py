"""What is saved in a project, as the sandbox serves it: reports, notes, schemas, pipelines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from mixpanel_sandbox import PROJECT_SECRET, Project, Sandbox
from tests.integration.sandbox_calls import Response, ask, basic, serve, told_project

APP = "/api/app/projects/1234567"
NESSIE = "/api/2.0/nessie/pipeline"


def annotation(number: int, moment: str, *tags: int) -> dict[str, Any]:
    """Return an annotation as the API serves it."""
    named = [{"id": tag, "name": f"tag {tag}"} for tag in tags]
    return {"id": number, "date": moment, "description": "", "tags": named}


def run(state: str, day: str, finish: str = "") -> dict[str, Any]:
    """Return a run of a pipeline as the API serves it."""
    return {"state": state, "from_date": day, "to_date": day, "last_finish": finish}


@pytest.fixture
def project() -> Project:
    """Return the project a test may change."""
    project = told_project()
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


@pytest.fixture
def sandbox(project: Project) -> Iterator[Sandbox]:
    """Run a sandbox on the project."""
    with serve(project) as running:
        yield running


def app(sandbox: Sandbox, path: str, **params: object) -> Response:
    """Ask the app API about the project."""
    return ask(sandbox, f"{APP}/{path}", {"project_id": None, **params})


def results(sandbox: Sandbox, path: str, **params: object) -> Any:
    """Return what is in the envelope of the app API."""
    reply = app(sandbox, path, **params)
    assert (reply.status, reply.json()["status"]) == (200, "ok")
    return reply.json()["results"]


def test_a_saved_report_ends_today(sandbox: Sandbox) -> None:
    """Its keys are starts of days with the offset of the zone."""
    reply = ask(sandbox, "/api/query/insights", {"bookmark_id": 5}).json()
    assert reply["headers"] == ["$event"]
    assert reply["date_range"] == {
        "from_date": "2026-11-16T00:00:00-08:00",
        "to_date": "2026-11-20T23:59:59.999000-08:00",
    }
    days = [f"2026-11-{day}T00:00:00-08:00" for day in range(16, 21)]
    assert reply["series"] == {
        "View": dict(zip(days, (3, 1, 0, 0, 0), strict=True)),
        "Buy": dict(zip(days, (1, 0, 1, 0, 0), strict=True)),
    }


def test_each_breakdown_of_a_report_is_a_level(sandbox: Sandbox) -> None:
    """Beside the values there is `$overall`, on every level."""
    reply = ask(sandbox, "/api/query/insights", {"bookmark_id": 6}).json()
    assert reply["headers"] == ["$event", "plan", "tags"]

    def week(count: int) -> dict[str, int]:
        return {"2026-11-09T00:00:00-08:00": 0, "2026-11-16T00:00:00-08:00": count}

    assert reply["series"] == {
        "View": {
            "$overall": week(4),
            "pro": {"$overall": week(2), "a": week(1), "b": week(2)},
            "free": {"$overall": week(1), "undefined": week(1)},
            "undefined": {"$overall": week(1), "undefined": week(1)},
        }
    }


def test_reports_that_are_not_there(sandbox: Sandbox) -> None:
    """An unknown id is 400."""
    reply = ask(sandbox, "/api/query/insights", {"bookmark_id": 7})
    assert (reply.status, reply.json()["error"]) == (400, "bookmark_id 7 does not exist")


@pytest.mark.parametrize(
    ("params", "found"),
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
def test_annotations_of_some_days_and_tags(
    sandbox: Sandbox, params: dict[str, object], found: list[int]
) -> None:
    """Both days are included; one of several tags is enough."""
    assert [one["id"] for one in results(sandbox, "annotations", **params)] == found


def test_one_annotation_and_all_tags(sandbox: Sandbox, project: Project) -> None:
    """The path of the tags is not an id; the tags have no envelope."""
    assert results(sandbox, "annotations/2") == project.annotations[1]
    assert app(sandbox, "annotations/tags").json() == project.annotation_tags
    reply = app(sandbox, "annotations/4")
    assert reply.status == 404
    assert reply.json() == {"status": "error", "error": "Annotation not found"}


def test_schemas_at_three_levels(sandbox: Sandbox, project: Project) -> None:
    """All, those of a type, and one alone, whose name is quoted in the path."""
    assert results(sandbox, "schemas") == project.schemas
    assert results(sandbox, "schemas/profile") == project.schemas[1:]
    assert results(sandbox, "schemas/event", entity_name="x") == []
    name = quote("Added To/Cart", safe="")
    assert app(sandbox, f"schemas/event/{name}").json() == {"description": "one"}
    assert app(sandbox, f"schemas/profile/{name}").status == 404
    assert app(sandbox, "schemas/group").status == 400
    assert app(sandbox, "schemas/event/a/b").status == 404


def test_other_projects_are_forbidden(sandbox: Sandbox, project: Project) -> None:
    """In the envelope of the app API; so is the project in a region it is not in."""
    paths = [f"/api/app/projects/1/{path}" for path in ("annotations", "schemas")]
    replies = [ask(sandbox, path) for path in paths]
    with Sandbox(project, wrong_region=True) as elsewhere:
        replies.append(app(elsewhere, "annotations"))
    for reply in replies:
        assert reply.status == 403
        assert reply.json().keys() == {"status", "error"}
        assert reply.json()["status"] == "error"


def test_pipelines_and_their_runs(sandbox: Sandbox, project: Project) -> None:
    """Runs are grouped by state, or counted; unknown pipelines are 404."""
    assert ask(sandbox, f"{NESSIE}/jobs").json() == {"1234567": project.pipelines}
    runs = project.pipeline_runs["p"]
    found = ask(sandbox, f"{NESSIE}/status", {"name": "p"}).json()
    assert {state: some for state, some in found.items() if some} == {
        "succeeded": runs[:2],
        "failed": [runs[2]],
        "pending": [runs[3]],
    }
    asked = {"name": "p", "summary": "true", "status": '["failed", "succeeded"]'}
    counted = ask(sandbox, f"{NESSIE}/status", asked).json()
    assert counted == {"failed": 1, "succeeded": 2}
    assert not any(ask(sandbox, f"{NESSIE}/status", {"name": "q"}).json().values())
    missing = ask(sandbox, f"{NESSIE}/status", {"name": "r"})
    assert missing.status == 404
    assert missing.json() == {"status": "error", "error": "pipeline r does not exist"}
    assert ask(sandbox, f"{NESSIE}/status").status == 400


@pytest.mark.parametrize("params", [{}, {"name": "p"}])
def test_the_timeline_of_pipelines(sandbox: Sandbox, params: dict[str, str]) -> None:
    """A day is synced once a run of it succeeded."""
    assert ask(sandbox, f"{NESSIE}/timeline", params).json() == {
        "day_syncs": [
            {"date": "2026-11-01", "sync_times": ["first"], "status": "synced"},
            {"date": "2026-11-02", "sync_times": ["second"], "status": "synced"},
            {"date": "2026-11-03", "sync_times": [], "status": "pending"},
        ]
    }


def test_lookup_tables_and_their_envelope(sandbox: Sandbox, project: Project) -> None:
    """Errors have the words of the host that takes data."""
    expected = {"code": 200, "status": "OK", "results": project.lookup_tables}
    assert ask(sandbox, "/lookup-tables").json() == expected
    reply = ask(sandbox, "/lookup-tables", headers=basic(secret="wrong"))
    assert reply.status == 401
    assert reply.json() == {"code": 401, "error": "Invalid credentials", "status": "Unauthorized"}


def test_the_project_secret_is_for_queries_alone(sandbox: Sandbox) -> None:
    """The app API takes service accounts."""
    headers = basic(PROJECT_SECRET, "")
    assert ask(sandbox, f"{NESSIE}/jobs", headers=headers).status == 200
    assert ask(sandbox, f"{APP}/annotations", headers=headers).status == 401


def script(sandbox: Sandbox, code: str, **params: object) -> Response:
    """Post a script."""
    body = urlencode({"script": code, "params": json.dumps(params)})
    return ask(sandbox, "/api/query/jql", method="POST", body=body)


def test_scripts_get_one_answer(sandbox: Sandbox, project: Project) -> None:
    """The count of each event between two days, or what the project says."""
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
def test_scripts_that_fail(sandbox: Sandbox, code: str) -> None:
    """The status is 412, the error text without an envelope."""
    reply = script(sandbox, code)
    assert reply.status == 412
    assert reply.json().keys() == {"request", "error"}
    assert reply.json()["request"] == "/api/query/jql?project_id=1234567"


def test_scripts_with_wrong_parameters(sandbox: Sandbox) -> None:
    """They are 400."""
    for params in ("[]", "x", '{"from_date": "soon"}'):
        body = urlencode({"script": "main()", "params": params})
        reply = ask(sandbox, "/api/query/jql", method="POST", body=body)
        assert (reply.status, reply.json()["error"][:16]) == (400, "Error in params:")
    assert ask(sandbox, "/api/query/jql", method="POST").status == 400


def test_what_is_saved_is_read_from_files(tmp_path: Path, project: Project) -> None:
    """Each field has its file; ids are numbers again."""
    names = ["funnels", "bookmarks", "annotations", "annotation_tags", "schemas"]
    names += ["lookup_tables", "pipelines", "pipeline_runs"]
    for name in names:
        path = tmp_path / f"{name.replace('_', '-')}.json"
        path.write_text(json.dumps(getattr(project, name)), encoding="utf-8")
    read = Project.from_directory(tmp_path)
    for name in names:
        assert getattr(read, name) == getattr(project, name) != getattr(Project(), name)
