"""The rate limits of the sandbox."""

from __future__ import annotations

import threading

from mixpanel_sandbox import Project, Sandbox, parse_fault
from tests.support.clock import Clock, wait_until
from tests.support.sandbox_calls import engage, export, send


def test_queries_per_hour(project: Project) -> None:
    """The hour is a sliding window; later pages and rejected requests do not count."""
    clock = Clock()
    with Sandbox(project, clock=clock.time, queries_per_hour=2, page_size=2) as sandbox:
        session_id = engage(sandbox).json()["session_id"]
        clock.advance(seconds=600)
        assert send(sandbox, "/api/query/cohorts/list").status == 200
        rejected = send(sandbox, "/api/query/cohorts/list")
        assert rejected.status == 429
        assert rejected.headers["Retry-After"] == "3000"
        assert rejected.headers["RateLimit"] == '"project";r=0;t=3000, "project-concurrency";r=5'
        assert "(3/2 queries running in the last hour)" in rejected.json()["error"]
        assert engage(sandbox, session_id=session_id, page=1).status == 200
        assert send(sandbox, "/api/app/me").status == 200
        clock.advance(seconds=3000)
        assert engage(sandbox).status == 200
        assert engage(sandbox).status == 429


def test_exports_per_hour_and_second(project: Project) -> None:
    """Exports have separate limits and their own error message."""
    clock = Clock()
    with Sandbox(project, clock=clock.time, exports_per_hour=4, queries_per_hour=1) as sandbox:
        assert [export(sandbox, "2026-11-03").status for _ in range(4)] == [200, 200, 200, 429]
        clock.advance(seconds=1)
        assert export(sandbox, "2026-11-03").status == 200
        rejected = export(sandbox, "2026-11-03")
        assert engage(sandbox).status == 200
    assert rejected.headers["Retry-After"] == "3599"
    error = "too many export requests in progress for this project"
    assert rejected.json() == {"error": error}


def test_429_without_headers(project: Project) -> None:
    """The headers of a 429 can be turned off."""
    with Sandbox(project, queries_per_hour=1, rate_limit_headers=False) as sandbox:
        engage(sandbox)
        rejected = engage(sandbox)
    assert rejected.status == 429
    assert not {"Retry-After", "RateLimit", "RateLimit-Policy"} & rejected.headers.keys()


def test_concurrent_queries(project: Project) -> None:
    """While a slow query runs, further queries are rejected."""
    slow = parse_fault("slow:seconds=0.3")
    with Sandbox(project, concurrent_queries=1, faults=[slow]) as sandbox:
        running = threading.Thread(target=engage, args=(sandbox,))
        running.start()
        wait_until(lambda: any(record.fault for record in sandbox.requests))
        rejected = send(sandbox, "/api/query/cohorts/list")
        running.join()
        assert engage(sandbox).status == 200
    assert rejected.status == 429
    assert rejected.headers["Retry-After"] == "10"
    assert "(2/1 queries running concurrently)" in rejected.json()["error"]


def test_schemas_per_minute(project: Project) -> None:
    """All schema endpoints share a limit of five; other app API requests do not count."""
    clock = Clock()
    schemas = "/api/app/projects/1234567/schemas"
    with Sandbox(project, clock=clock.time) as sandbox:
        assert {send(sandbox, f"{schemas}{level}").status for level in ("", "/event")} == {200}
        clock.advance(seconds=20)
        assert [send(sandbox, schemas).status for _ in range(4)] == [200, 200, 200, 429]
        rejected = send(sandbox, schemas)
        assert send(sandbox, "/api/app/projects/1234567/annotations").status == 200
        clock.advance(seconds=40)
        assert send(sandbox, schemas).status == 200
    assert rejected.headers["Retry-After"] == "40"
    assert rejected.headers["RateLimit-Policy"] == '"project";q=5;w=60'
    assert rejected.headers["RateLimit"] == '"project";r=0;t=40'
    assert rejected.json()["status"] == "error"
    error = "rate limit exceeded for project_id: 1234567"
    assert error in rejected.json()["error"]
    assert "(6/5 queries running in the last minute)" in rejected.json()["error"]


def test_query_endpoints_share_a_limit(project: Project) -> None:
    """All query endpoints share one limit; endpoints of other APIs have none."""
    uncounted = ["/api/app/me", "/lookup-tables", "/api/2.0/nessie/pipeline/jobs"]
    with Sandbox(project, queries_per_hour=2) as sandbox:
        assert send(sandbox, "/api/query/funnels/list").status == 200
        assert send(sandbox, "/api/2.0/events/names", {"type": "general"}).status == 200
        for path in ("/api/query/jql", "/api/2.0/insights", "/api/query/events/top"):
            assert send(sandbox, path).status == 429, path
        for path in uncounted * 2:
            assert send(sandbox, path).status == 200, path


def test_free_plan_has_no_reports(project: Project) -> None:
    """Only query endpoints, and tables set as unavailable, return 402."""
    project.plan = "free"
    with Sandbox(project, unavailable=["lexicon"]) as sandbox:
        for path in ("funnels", "funnels/list", "insights", "events", "jql", "segmentation/sum"):
            assert send(sandbox, f"/api/query/{path}").status == 402, path
        assert send(sandbox, "/api/app/projects/1234567/annotations").status == 200
        assert send(sandbox, "/api/app/projects/1234567/schemas").status == 402
