"""The rate limits of the sandbox."""

from __future__ import annotations

import threading

import pytest

from mixpanel_sandbox import Project, Sandbox, parse_fault
from tests.integration.sandbox_calls import NOON, ask, engage, export, small_project, wait_until


@pytest.fixture
def project() -> Project:
    """Return the project a test may change."""
    return small_project()


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_queries_an_hour(project: Project) -> None:
    """The hour rolls; pages of a session are free; refused calls do not count."""
    clock = Clock()
    with Sandbox(project, clock=clock, queries_per_hour=2, page_size=2) as sandbox:
        session_id = engage(sandbox).json()["session_id"]
        clock.now += 600
        assert ask(sandbox, "/api/query/cohorts/list").status == 200
        refused = ask(sandbox, "/api/query/cohorts/list")
        assert refused.status == 429
        assert refused.headers["Retry-After"] == "3000"
        assert refused.headers["RateLimit"] == '"project";r=0;t=3000, "project-concurrency";r=5'
        assert "(3/2 queries running in the last hour)" in refused.json()["error"]
        assert engage(sandbox, session_id=session_id, page=1).status == 200
        assert ask(sandbox, "/api/app/me").status == 200
        clock.now += 3000
        assert engage(sandbox).status == 200
        assert engage(sandbox).status == 429


def test_exports_an_hour_and_a_second(project: Project) -> None:
    """Exports have limits of their own, and a text of their own."""
    clock = Clock()
    with Sandbox(project, clock=clock, exports_per_hour=4, queries_per_hour=1) as sandbox:
        assert [export(sandbox, "2026-11-03").status for _ in range(4)] == [200, 200, 200, 429]
        clock.now += 1
        assert export(sandbox, "2026-11-03").status == 200
        refused = export(sandbox, "2026-11-03")
        assert engage(sandbox).status == 200
    assert refused.headers["Retry-After"] == "3599"
    error = "too many export requests in progress for this project"
    assert refused.json() == {"error": error}


def test_a_429_may_say_nothing_about_when(project: Project) -> None:
    """The headers of a 429 are a switch."""
    with Sandbox(project, queries_per_hour=1, rate_limit_headers=False) as sandbox:
        engage(sandbox)
        refused = engage(sandbox)
    assert refused.status == 429
    assert not {"Retry-After", "RateLimit", "RateLimit-Policy"} & refused.headers.keys()


def test_queries_at_once(project: Project) -> None:
    """While one slow query runs, a second one is refused, be it free or not."""
    slow = parse_fault("slow:seconds=0.3")
    with Sandbox(project, concurrent_queries=1, faults=[slow]) as sandbox:
        running = threading.Thread(target=engage, args=(sandbox,))
        running.start()
        wait_until(lambda: any(record.fault for record in sandbox.requests))
        refused = ask(sandbox, "/api/query/cohorts/list")
        running.join()
        assert engage(sandbox).status == 200
    assert refused.status == 429
    assert refused.headers["Retry-After"] == "10"
    assert "(2/1 queries running concurrently)" in refused.json()["error"]


def test_schemas_a_minute(project: Project) -> None:
    """Five of them, at whatever level; other replies of the app API are not counted."""
    clock = Clock()
    schemas = "/api/app/projects/1234567/schemas"
    with Sandbox(project, clock=clock) as sandbox:
        assert {ask(sandbox, f"{schemas}{level}").status for level in ("", "/event")} == {200}
        clock.now += 20
        assert [ask(sandbox, schemas).status for _ in range(4)] == [200, 200, 200, 429]
        refused = ask(sandbox, schemas)
        assert ask(sandbox, "/api/app/projects/1234567/annotations").status == 200
        clock.now += 40
        assert ask(sandbox, schemas).status == 200
    assert refused.headers["Retry-After"] == "40"
    assert refused.headers["RateLimit-Policy"] == '"project";q=5;w=60'
    assert refused.headers["RateLimit"] == '"project";r=0;t=40'
    assert refused.json()["status"] == "error"
    error = "rate limit exceeded for project_id: 1234567"
    assert error in refused.json()["error"]
    assert "(6/5 queries running in the last minute)" in refused.json()["error"]


def test_reports_share_the_quota_of_queries(project: Project) -> None:
    """Whatever is asked of the query API counts in one; all else counts in none."""
    uncounted = ["/api/app/me", "/lookup-tables", "/api/2.0/nessie/pipeline/jobs"]
    with Sandbox(project, queries_per_hour=2) as sandbox:
        assert ask(sandbox, "/api/query/funnels/list").status == 200
        assert ask(sandbox, "/api/2.0/events/names", {"type": "general"}).status == 200
        for path in ("/api/query/jql", "/api/2.0/insights", "/api/query/events/top"):
            assert ask(sandbox, path).status == 429, path
        for path in uncounted * 2:
            assert ask(sandbox, path).status == 200, path


def test_the_free_plan_has_no_reports(project: Project) -> None:
    """What is not of the query API is answered on every plan."""
    project.plan = "free"
    with Sandbox(project, unavailable=["lexicon"]) as sandbox:
        for path in ("funnels", "funnels/list", "insights", "events", "jql", "segmentation/sum"):
            assert ask(sandbox, f"/api/query/{path}").status == 402, path
        assert ask(sandbox, "/api/app/projects/1234567/annotations").status == 200
        assert ask(sandbox, "/api/app/projects/1234567/schemas").status == 402
