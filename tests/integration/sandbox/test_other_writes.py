"""The sandbox's other writing endpoints: their replies, and what is served afterwards."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from mixpanel_sandbox import OAUTH_TOKEN, PROJECT_ID, Project, Sandbox, made_up_project
from tests.support.clock import DAY_S, NOON, Clock
from tests.support.sandbox_calls import Response, engage, send
from tests.support.sandbox_writes import day_of, exported, import_events, make_event

APP = f"/api/app/projects/{PROJECT_ID}"
PIPELINES = "/api/2.0/nessie/pipeline"
TABLE = "0a7f1d1c-5a3e-4f0e-9a65-1a3b5c7d9e01"


@pytest.fixture
def project() -> Project:
    """A made-up project of one day."""
    return made_up_project(last_day=date(2026, 11, 20), days=1)


@pytest.fixture
def sandbox_clock() -> Clock:
    """Clock at noon of the next day."""
    return Clock()


def write(sandbox: Sandbox, method: str, path: str, body: Any = None, **params: object) -> Response:
    """Send a request with a JSON body."""
    text = None if body is None else json.dumps(body)
    return send(sandbox, path, params, method=method, body=text)


def schema(name: str, **metadata: Any) -> dict[str, Any]:
    """Return an entry of the Lexicon."""
    described = {"description": name, "metadata": {"com.mixpanel": metadata}}
    return {"entityType": "event", "name": name, "schemaJson": described}


def test_schemas_are_uploaded_and_replaced(sandbox: Sandbox, project: Project) -> None:
    """Metadata that is absent stays, null removes it; `truncate` empties the Lexicon first."""
    entries = [schema("A", displayName="One", hidden=True), schema("B")]
    reply = write(sandbox, "POST", f"{APP}/schemas", {"entries": entries}).json()
    assert reply == {"status": "ok", "results": {"added": 2, "deleted": 0}}
    path = f"{APP}/schemas/event/A"
    changed = schema("A", hidden=None, tags=["x"])["schemaJson"]
    assert write(sandbox, "POST", path, changed).json() == {"status": "ok"}
    (stored,) = [entry for entry in project.schemas if entry["name"] == "A"]
    assert stored["schemaJson"]["metadata"] == {
        "com.mixpanel": {"displayName": "One", "tags": ["x"]}
    }
    before = len(project.schemas)
    body = {"entries": entries[:1], "truncate": True}
    reply = write(sandbox, "POST", f"{APP}/schemas", body).json()
    assert reply["results"] == {"added": 1, "deleted": before}
    assert send(sandbox, f"{APP}/schemas").json()["results"] == entries[:1]


def test_schemas_are_deleted(sandbox: Sandbox, project: Project) -> None:
    """One, those of a type, or all."""
    counts = [
        write(sandbox, "DELETE", f"{APP}/schemas{path}").json()["results"]["delete_count"]
        for path in ("/event/Product%20Viewed", "/profile", "", "")
    ]
    assert counts[:2] == [1, 1]
    assert counts[3] == 0
    assert project.schemas == []


def test_schemas_have_limits(project: Project) -> None:
    """5 requests and 4000 entries a minute, fewer than 3000 deletions a request."""
    clock, path = Clock(), f"{APP}/schemas"
    entries = [schema(str(number)) for number in range(4000)]
    with Sandbox(project, clock=clock.time) as sandbox:
        assert write(sandbox, "POST", path, {"entries": [*entries, schema("A")]}).status == 429
        assert write(sandbox, "POST", path, {"entries": [{"name": "x"}]}).status == 400
        assert write(sandbox, "POST", path, {}).json()["status"] == "error"
        assert write(sandbox, "POST", path, {"entries": entries}).status == 200
        assert write(sandbox, "DELETE", path).status == 400
        assert send(sandbox, path).status == 429
        clock.advance(seconds=60)
        assert send(sandbox, path).status == 200


def test_dropped_events_are_not_stored(sandbox: Sandbox) -> None:
    """They are accepted all the same."""
    write(sandbox, "POST", f"{APP}/schemas", {"entries": [schema("Ping", dropped=True)]})
    assert import_events(sandbox, [make_event(time=NOON)]).json()["num_records_imported"] == 1
    assert exported(sandbox, day_of(NOON)) == []


def test_annotations(sandbox: Sandbox) -> None:
    """They are created again and again, changed and deleted by id."""
    path = f"{APP}/annotations"
    body = {"date": "2026-11-02 12:00:00", "description": "Launch", "tags": [9]}
    created = [write(sandbox, "POST", path, body) for _ in range(2)]
    assert [reply.status for reply in created] == [201, 201]
    first, second = (reply.json()["results"] for reply in created)
    assert first["id"] != second["id"]
    assert first["tags"] == [{"id": 9, "name": "bug"}]
    changed = write(sandbox, "PATCH", f"{path}/{first['id']}", {"description": "Start"}).json()
    assert changed["results"] == {**first, "description": "Start"}
    reply = write(sandbox, "DELETE", f"{path}/{second['id']}").json()
    assert reply == {"status": "ok", "results": {"id": second["id"]}}
    assert write(sandbox, "DELETE", f"{path}/{second['id']}").status == 404
    listed = send(sandbox, path, {"fromDate": "2026-11-02", "toDate": "2026-11-02"}).json()
    assert listed["results"] == [{**first, "description": "Start"}]
    bad = [{**body, "date": "2 Nov"}, {**body, "description": ""}, {**body, "tags": [99]}]
    assert [write(sandbox, "POST", path, given).status for given in bad] == [400, 400, 400]
    tag = write(sandbox, "POST", f"{path}/tags", {"name": "sale"}).json()
    assert tag.keys() == {"id", "name", "project_id", "has_annotations"}


def put_table(sandbox: Sandbox, text: str, table: str = TABLE) -> Response:
    """Replace a lookup table."""
    headers = {"Content-Type": "text/csv"}
    return send(sandbox, f"/lookup-tables/{table}", method="PUT", body=text, headers=headers)


def test_lookup_tables_are_replaced_or_not_at_all(sandbox: Sandbox, project: Project) -> None:
    """Of the invalid rows, ten are reported."""
    assert put_table(sandbox, "id,name\n1,a\n2,b\n").json() == {"code": 200, "status": "OK"}
    bad = put_table(sandbox, 'id,name\n1,a\n,b\n3\n1,"c\nd"\n')
    assert (bad.status, bad.json()["code"]) == (400, 400)
    assert [record["index"] for record in bad.json()["failed_records"]] == [2, 3, 4]
    assert len(put_table(sandbox, "a\n" + "\n" * 20).json()["failed_records"]) == 10
    assert put_table(sandbox, "a,a\n").status == 400
    assert put_table(sandbox, "a\n", "unknown").json()["code"] == 404
    assert project.lookup_contents == {TABLE: "id,name\n1,a\n2,b\n"}


def test_pipelines(sandbox: Sandbox, project: Project) -> None:
    """Create, edit, pause, resume and cancel; a trial cannot be cancelled."""

    def post(name: str, body: str) -> Response:
        return send(sandbox, f"{PIPELINES}/{name}", method="POST", body=body)

    made = "type=gcs-raw&from_date=2026-11-01&events=A&events=B"
    names = [post("create", made).json()["pipeline_names"][0] for _ in range(2)]
    assert names == ["events-daily-gcs-raw", "events-daily-gcs-raw-2"]
    for action in ("pause", "resume", "edit"):
        reply = post(action, f"name={names[0]}&where=x")
        assert (reply.status, reply.body) == (200, b"")
    (pipeline,) = [known for known in project.pipelines if known["name"] == names[0]]
    assert pipeline["paused"] is False
    assert (pipeline["events"], pipeline["where"]) == ('["A", "B"]', "x")
    assert post("cancel", f"name={names[0]}").status == 200
    assert post("cancel", f"name={names[0]}").status == 404
    trial = post("create", "type=bigquery&trial=true").json()["pipeline_names"][0]
    assert post("cancel", f"name={trial}").status == 400
    for wrong in ("type=x", "type=gcs-raw", "type=gcs-raw&from_date=2026-01-01", "from_date=x"):
        assert post("create", wrong).status == 400


def ask(sandbox: Sandbox, clock: Clock, method: str, path: str, body: Any = None) -> Response:
    """Send a request of the GDPR API, a second after the one before."""
    clock.advance(seconds=1)
    token = {"token": sandbox.project.token, "project_id": None}
    headers = {"Authorization": f"Bearer {OAUTH_TOKEN}"}
    text = None if body is None else json.dumps(body)
    return send(sandbox, f"/api/app/{path}/v3.0", token, method=method, body=text, headers=headers)


def test_persons_are_deleted_after_a_day(sandbox: Sandbox, sandbox_clock: Clock) -> None:
    """With their events and profiles, unless the request is cancelled before."""
    import_events(sandbox, [make_event(number, time=NOON) for number in range(2)])
    created = ask(sandbox, sandbox_clock, "POST", "data-deletions", {"distinct_ids": ["u1"]})
    assert created.status == 201
    task = created.json()["results"]["task_id"]
    found = gdpr_job(sandbox, sandbox_clock, "data-deletions", task).json()["results"]
    assert (found["status"], found["compliance_type"]) == ("PENDING", "GDPR")
    sandbox_clock.advance(days=1)
    assert len(exported(sandbox, day_of(NOON))) == 1
    late = gdpr_job(sandbox, sandbox_clock, "data-deletions", task, method="DELETE")
    assert late.status == 405
    again = ask(sandbox, sandbox_clock, "POST", "data-deletions", {"distinct_ids": ["u0"]}).json()
    task = again["results"]["task_id"]
    assert gdpr_job(sandbox, sandbox_clock, "data-deletions", task, method="DELETE").status == 204
    sandbox_clock.advance(days=1)
    assert len(exported(sandbox, day_of(NOON))) == 1


def gdpr_job(
    sandbox: Sandbox, clock: Clock, path: str, task: str, *, method: str = "GET"
) -> Response:
    """Read or cancel a job of the GDPR API."""
    clock.advance(seconds=1)
    token = {"token": sandbox.project.token, "project_id": None}
    headers = {"Authorization": f"Bearer {OAUTH_TOKEN}"}
    return send(sandbox, f"/api/app/{path}/v3.0/{task}", token, method=method, headers=headers)


def test_data_of_persons_is_retrieved(sandbox: Sandbox, sandbox_clock: Clock) -> None:
    """The link is there once the job is done; ids, token and pace are checked."""
    body = {"distinct_ids": ["u1"], "compliance_type": "CCPA"}
    created = ask(sandbox, sandbox_clock, "POST", "data-retrievals", body)
    task = created.json()["results"]["task_id"]
    first = gdpr_job(sandbox, sandbox_clock, "data-retrievals", task).json()["results"]
    assert (first["status"], first["results"]) == ("PENDING", "")
    sandbox_clock.advance(seconds=DAY_S)
    engage(sandbox)
    done = gdpr_job(sandbox, sandbox_clock, "data-retrievals", task).json()["results"]
    assert (done["status"], done["results"] != "") == ("SUCCESS", True)
    many = {"distinct_ids": ["x"] * 2001}
    for wrong in (many, {}, {**body, "compliance_type": "X"}):
        assert ask(sandbox, sandbox_clock, "POST", "data-retrievals", wrong).status == 400
    path = "/api/app/data-deletions/v3.0"
    sandbox_clock.advance(seconds=1)
    assert write(sandbox, "POST", path, body, token=sandbox.project.token).status == 401
