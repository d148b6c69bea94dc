"""The sandbox as a server: who is let in, what is remembered, how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mixpanel_sandbox import PROJECT_SECRET, SECRET, USERNAME, Project, Sandbox, parse_fault
from tests.integration.sandbox_calls import (
    LINES,
    ask,
    basic,
    connect,
    engage,
    export,
    serve,
    small_project,
    wait_until,
)


@pytest.fixture
def project() -> Project:
    """Return the project a test may change."""
    return small_project()


@pytest.fixture
def sandbox(project: Project) -> Iterator[Sandbox]:
    """Run a sandbox on the project."""
    with serve(project) as running:
        yield running


def test_me_tells_the_zone_of_the_project(sandbox: Sandbox, project: Project) -> None:
    """The account can be probed, in the envelope of the app API, without a project id."""
    project.timezone = "Asia/Tokyo"
    reply = ask(sandbox, "/api/app/me", {"project_id": None}).json()
    assert reply["status"] == "ok"
    assert reply["results"]["projects"]["1234567"]["timezone"] == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("username", "secret", "error"),
    [
        (USERNAME, "wrong", "Invalid credentials"),
        ("someone", SECRET, "Not a valid service account username"),
        ("wrong", "", "Unauthorized, invalid project secret"),
    ],
)
def test_wrong_credentials(sandbox: Sandbox, username: str, secret: str, error: str) -> None:
    """Each mistake has its own text, under 401."""
    reply = ask(sandbox, "/api/query/engage", headers=basic(username, secret))
    assert reply.status == 401
    assert reply.json()["error"].startswith(error)


@pytest.mark.parametrize("header", ["", "Bearer token", "Basic ====", "Basic /w=="])
def test_credentials_that_cannot_be_read(sandbox: Sandbox, header: str) -> None:
    """A missing or malformed header is a failed log-in, not a crash."""
    assert ask(sandbox, "/api/2.0/export", headers={"Authorization": header}).status == 401


def test_wrong_credentials_in_the_app_api(sandbox: Sandbox) -> None:
    """The app API has an envelope of its own."""
    reply = ask(sandbox, "/api/app/me", headers=basic(secret="wrong"))
    assert reply.status == 401
    assert reply.json() == {"status": "error", "error": "Invalid service account credentials"}


def test_older_hosts_answer_wrong_credentials_with_400(project: Project) -> None:
    """The status of failed log-ins is a switch."""
    with Sandbox(project, auth_failures=400) as sandbox:
        reply = export(sandbox, "2026-11-03", project_id=None)
    assert reply.status == 400
    assert reply.json()["error"] == "Unable to authenticate request"


def test_a_service_account_needs_a_project_it_belongs_to(sandbox: Sandbox) -> None:
    """No project id is 401, somebody else's is 403."""
    assert engage(sandbox, project_id=None).status == 401
    reply = engage(sandbox, project_id=1)
    assert (reply.status, reply.json()["error"]) == (403, "not a project member")


def test_the_project_id_may_come_in_the_body(sandbox: Sandbox) -> None:
    """Body parameters are read like those of the URL."""
    reply = ask(
        sandbox,
        "/api/query/engage",
        {"project_id": None},
        method="POST",
        body="project_id=1234567",
    )
    assert reply.status == 200


def test_another_region_does_not_know_the_project(project: Project) -> None:
    """The host of another region answers 400, as if the project did not exist."""
    with Sandbox(project, wrong_region=True) as sandbox:
        reply = export(sandbox, "2026-11-03")
    assert (reply.status, reply.json()["error"]) == (400, "invalid project id for cluster")


def test_the_project_secret_needs_no_project_id(sandbox: Sandbox) -> None:
    """The old form of authentication works, unless it names another project."""
    headers = basic(PROJECT_SECRET, "")
    asked = "/api/query/cohorts/list"
    assert ask(sandbox, asked, {"project_id": None}, headers=headers).status == 200
    assert ask(sandbox, asked, {"project_id": 1}, headers=headers).status == 400


def test_free_plan_has_no_query_api(sandbox: Sandbox, project: Project) -> None:
    """Profiles and cohorts are 402 on the free plan; the export is not."""
    project.plan = "free"
    assert export(sandbox, "2026-11-03").status == 200
    assert ask(sandbox, "/api/2.0/cohorts/list").status == 402
    reply = engage(sandbox)
    assert reply.status == 402
    assert reply.json() == {
        "error": "Your plan does not allow API calls. Upgrade at mixpanel.com/pricing"
    }


def test_a_table_can_be_off_on_every_plan(project: Project) -> None:
    """A 402 can be set for one table."""
    with Sandbox(project, unavailable=["export"]) as sandbox:
        assert export(sandbox, "2026-11-03").status == 402
        assert engage(sandbox).status == 200


def test_unknown_paths_and_methods(sandbox: Sandbox) -> None:
    """Both are errors in JSON."""
    assert ask(sandbox, "/api/2.0/nothing").json()["error"] == "Invalid API endpoint"
    assert ask(sandbox, "/api/2.0/nothing").status == 404
    assert ask(sandbox, "/api/2.0/export", method="POST").status == 405


def test_requests_are_remembered(sandbox: Sandbox) -> None:
    """Each request is recorded whole by the time its reply has been read."""
    export(sandbox, "2026-11-03")
    ask(sandbox, "/api/query/engage/", method="POST", body="page_size=2")
    first, second = sandbox.requests
    assert (first.method, first.path, first.status) == ("GET", "/api/2.0/export", 200)
    assert first.params["from_date"] == "2026-11-03"
    assert first.bytes_sent > sum(map(len, LINES))
    assert second.params == {"project_id": "1234567", "page_size": "2"}
    assert first.ended is not None
    assert first.started <= first.ended <= second.started
    sandbox.forget_requests()
    assert sandbox.requests == []


def test_a_connection_serves_many_requests(sandbox: Sandbox) -> None:
    """Connections stay open from request to request, after errors and chunked bodies too."""
    connection = connect(sandbox)
    connection.connect()
    first = connection.sock.getsockname()
    query = "project_id=1234567&from_date=2026-11-03&to_date=2026-11-03"
    for path in ("/api/2.0/export", "/api/2.0/nothing", "/api/2.0/engage", "/api/2.0/export"):
        connection.request("GET", f"{path}?{query}", headers=basic())
        connection.getresponse().read()
        assert connection.sock.getsockname() == first
    connection.close()


def test_closing_does_not_wait_for_idle_or_slow_clients(project: Project) -> None:
    """Leaving the sandbox hangs up on open connections, even where a reply is due."""
    before = threading.active_count()
    with Sandbox(project, faults=[parse_fault("slow:seconds=60")]) as sandbox:
        connection = connect(sandbox)
        connection.request("GET", "/api/query/engage?project_id=1234567", headers=basic())
        wait_until(lambda: bool(sandbox.requests))
    connection.close()
    assert threading.active_count() == before


def test_it_can_go_away_and_come_back(project: Project) -> None:
    """A sandbox that is entered again serves at its new address; its quotas go on."""
    sandbox = Sandbox(project, queries_per_hour=1)
    with sandbox:
        assert engage(sandbox).status == 200
    with sandbox:
        assert engage(sandbox).status == 429
        assert export(sandbox, "2026-11-03").status == 200
    assert len(sandbox.requests) == 3


def test_it_says_when_it_is_not_running(project: Project) -> None:
    """A sandbox without a socket has no address."""
    with pytest.raises(RuntimeError, match="with Sandbox"):
        _ = Sandbox(project).url


def test_requests_can_be_logged(project: Project) -> None:
    """One line a request, and only on request."""
    lines: list[str] = []
    with Sandbox(project, log=lines.append, faults=[parse_fault("500:table=engage")]) as sandbox:
        export(sandbox, "2026-11-03")
        engage(sandbox)
    assert lines[0].startswith("GET /api/2.0/export 200 ")
    assert lines[1].endswith(" fault=500")


def test_serving_ends_with_the_sandbox(project: Project) -> None:
    """What waits in serve_forever goes on when the sandbox is left."""
    with Sandbox(project) as sandbox:
        waiting = threading.Thread(target=sandbox.serve_forever)
        waiting.start()
        assert waiting.is_alive()
    waiting.join(timeout=10)
    assert not waiting.is_alive()
