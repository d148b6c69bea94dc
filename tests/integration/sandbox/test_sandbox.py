"""The sandbox as a server: authentication, request log, lifecycle."""

from __future__ import annotations

import threading

import pytest

from mixpanel_sandbox import PROJECT_SECRET, SECRET, USERNAME, Project, Sandbox, parse_fault
from mixpanel_sandbox.routes import ROUTES
from tests.integration.sandbox.projects import LINES
from tests.support.clock import wait_until
from tests.support.sandbox_calls import basic_auth, connect, engage, export, send


def test_account_has_the_project_timezone(sandbox: Sandbox, project: Project) -> None:
    """`/api/app/me` needs no project id and has the envelope of the app API."""
    project.timezone = "Asia/Tokyo"
    response = send(sandbox, "/api/app/me", {"project_id": None}).json()
    assert response["status"] == "ok"
    assert response["results"]["projects"]["1234567"]["timezone"] == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("username", "secret", "error"),
    [
        (USERNAME, "wrong", "Invalid credentials"),
        ("someone", SECRET, "Not a valid service account username"),
        ("wrong", "", "Unauthorized, invalid project secret"),
    ],
)
def test_wrong_credentials(sandbox: Sandbox, username: str, secret: str, error: str) -> None:
    """Each kind of wrong credentials is a 401 with its own message."""
    response = send(sandbox, "/api/query/engage", headers=basic_auth(username, secret))
    assert response.status == 401
    assert response.json()["error"].startswith(error)


@pytest.mark.parametrize("header", ["", "Bearer token", "Basic ====", "Basic /w=="])
def test_malformed_credentials(sandbox: Sandbox, header: str) -> None:
    """A missing or malformed header is a 401."""
    assert send(sandbox, "/api/2.0/export", headers={"Authorization": header}).status == 401


def test_wrong_credentials_in_the_app_api(sandbox: Sandbox) -> None:
    """The app API has its own error envelope."""
    response = send(sandbox, "/api/app/me", headers=basic_auth(secret="wrong"))
    assert response.status == 401
    assert response.json() == {"status": "error", "error": "Invalid service account credentials"}


def test_older_hosts_answer_wrong_credentials_with_400(project: Project) -> None:
    """The status of failed authentication can be set."""
    with Sandbox(project, auth_failures=400) as sandbox:
        response = export(sandbox, "2026-11-03", project_id=None)
    assert response.status == 400
    assert response.json()["error"] == "Unable to authenticate request"


def test_service_account_needs_its_project_id(sandbox: Sandbox) -> None:
    """A missing project id is a 401, that of another project a 403."""
    assert engage(sandbox, project_id=None).status == 401
    response = engage(sandbox, project_id=1)
    assert (response.status, response.json()["error"]) == (403, "not a project member")


def test_project_id_in_the_body(sandbox: Sandbox) -> None:
    """Parameters in the body are read like those of the query string."""
    response = send(
        sandbox,
        "/api/query/engage",
        {"project_id": None},
        method="POST",
        body="project_id=1234567",
    )
    assert response.status == 200


def test_wrong_region(project: Project) -> None:
    """The host of another region returns 400, as if the project did not exist."""
    with Sandbox(project, wrong_region=True) as sandbox:
        response = export(sandbox, "2026-11-03")
    assert (response.status, response.json()["error"]) == (400, "invalid project id for cluster")


def test_project_secret_needs_no_project_id(sandbox: Sandbox) -> None:
    """The project secret is accepted, except with the id of another project."""
    headers = basic_auth(PROJECT_SECRET, "")
    params = "/api/query/cohorts/list"
    assert send(sandbox, params, {"project_id": None}, headers=headers).status == 200
    assert send(sandbox, params, {"project_id": 1}, headers=headers).status == 400


def test_free_plan_has_no_query_endpoints(sandbox: Sandbox, project: Project) -> None:
    """Profiles and cohorts return 402 on the free plan; the export does not."""
    project.plan = "free"
    assert export(sandbox, "2026-11-03").status == 200
    assert send(sandbox, "/api/2.0/cohorts/list").status == 402
    response = engage(sandbox)
    assert response.status == 402
    assert response.json() == {
        "error": "Your plan does not allow API calls. Upgrade at mixpanel.com/pricing"
    }


def test_unavailable_tables(project: Project) -> None:
    """402 can be set for single tables."""
    with Sandbox(project, unavailable=["export"]) as sandbox:
        assert export(sandbox, "2026-11-03").status == 402
        assert engage(sandbox).status == 200


def test_unknown_paths_and_methods(sandbox: Sandbox) -> None:
    """Both return JSON errors."""
    assert send(sandbox, "/api/2.0/nothing").json()["error"] == "Invalid API endpoint"
    assert send(sandbox, "/api/2.0/nothing").status == 404
    assert send(sandbox, "/api/2.0/export", method="POST").status == 405


def test_route_paths_are_unique() -> None:
    """No route hides another one of the same path and method."""
    pairs = [(route.path, method) for route in ROUTES for method in route.methods]
    assert sorted(set(pairs)) == sorted(pairs)


def test_requests_are_recorded(sandbox: Sandbox) -> None:
    """The record of a request is complete once its response has been read."""
    export(sandbox, "2026-11-03")
    send(sandbox, "/api/query/engage/", method="POST", body="page_size=2")
    first, second = sandbox.requests
    assert (first.method, first.path, first.status) == ("GET", "/api/2.0/export", 200)
    assert first.params["from_date"] == "2026-11-03"
    assert first.bytes_sent > sum(map(len, LINES))
    assert second.params == {"project_id": "1234567", "page_size": "2"}
    assert first.ended is not None
    assert first.started <= first.ended <= second.started
    sandbox.forget_requests()
    assert sandbox.requests == []


def test_connections_are_kept_alive(sandbox: Sandbox) -> None:
    """Connections stay open between requests, even after errors and chunked bodies."""
    connection = connect(sandbox)
    connection.connect()
    first = connection.sock.getsockname()
    query = "project_id=1234567&from_date=2026-11-03&to_date=2026-11-03"
    for path in ("/api/2.0/export", "/api/2.0/nothing", "/api/2.0/engage", "/api/2.0/export"):
        connection.request("GET", f"{path}?{query}", headers=basic_auth())
        connection.getresponse().read()
        assert connection.sock.getsockname() == first
    connection.close()


def test_closing_does_not_wait_for_idle_or_slow_clients(project: Project) -> None:
    """Leaving the sandbox closes all connections, even those waiting for a response."""
    before = threading.active_count()
    with Sandbox(project, faults=[parse_fault("slow:seconds=60")]) as sandbox:
        connection = connect(sandbox)
        connection.request("GET", "/api/query/engage?project_id=1234567", headers=basic_auth())
        wait_until(lambda: bool(sandbox.requests))
    connection.close()
    assert threading.active_count() == before


def test_sandbox_can_be_reentered(project: Project) -> None:
    """A sandbox that is entered again keeps its rate limits and its request log."""
    sandbox = Sandbox(project, queries_per_hour=1)
    with sandbox:
        assert engage(sandbox).status == 200
    with sandbox:
        assert engage(sandbox).status == 429
        assert export(sandbox, "2026-11-03").status == 200
    assert len(sandbox.requests) == 3


def test_url_of_a_stopped_sandbox(project: Project) -> None:
    """A sandbox that is not running has no URL."""
    with pytest.raises(RuntimeError, match="with Sandbox"):
        _ = Sandbox(project).url


def test_requests_can_be_logged(project: Project) -> None:
    """`log` is called with one line per request."""
    lines: list[str] = []
    with Sandbox(project, log=lines.append, faults=[parse_fault("500:table=engage")]) as sandbox:
        export(sandbox, "2026-11-03")
        engage(sandbox)
    assert lines[0].startswith("GET /api/2.0/export 200 ")
    assert lines[1].endswith(" fault=500")


def test_serve_forever_ends_with_the_sandbox(project: Project) -> None:
    """`serve_forever` returns when the sandbox is left."""
    with Sandbox(project) as sandbox:
        waiting = threading.Thread(target=sandbox.serve_forever)
        waiting.start()
        assert waiting.is_alive()
    waiting.join(timeout=10)
    assert not waiting.is_alive()
