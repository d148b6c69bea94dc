"""A small project, and calls to the sandbox as tests make them: bytes as they came."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from mixpanel_sandbox import PROJECT_ID, SECRET, USERNAME, Project, Sandbox

TIMEOUT_S = 10
EXPORT_PATH = "/api/2.0/export"

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc).timestamp()
DAY = date(2026, 11, 3)
DAY_EPOCH_S = 1_793_664_000
# bytes no serialiser would write like this
LINES = [
    b'{"event":"Signed up","properties":{"time":1793664001,"distinct_id":"u1","plan":"pro"}}',
    b'{"event": "Order", "properties": {"plan":"free","big":1e21,"time": 1793664002}}',
    b'{"event":"Order","properties":{"device":{"time":5},"time":1793664003,"x":"\\"time\\":1"}}',
    b'{"event":"Order","properties":{"time":1793664004123,"plan":"pro"}}',
    b'{"event":"Order","properties":{"time":"2026-11-03T00:00:05"}}',
    b'{"event":"time","properties":{"kind":"time"}}',
]


def small_project() -> Project:
    """Return a project with one day, five profiles, two cohorts and a group."""
    project = Project(
        events={DAY: list(LINES)},
        cohorts=[{"id": 1, "project_id": 1234567, "name": "All"}, {"id": 2, "name": "None"}],
        cohort_members={1: ["u0", "u4", "stranger"]},
        groups={"-12": [b'{"$distinct_id":7,"$properties":{"$name":"Acme"}}']},
    )
    for number in range(5):
        plan = "pro" if number % 2 else "free"
        project.add_profile(f"u{number}", {"plan": plan, "$email": f"u{number}@example.com"})
    return project


def tell(
    project: Project,
    local: str,
    name: str,
    person: str,
    properties: Mapping[str, Any] | None = None,
) -> None:
    """Add an event at a wall-clock time, such as `2026-11-16 10:00`, in the zone of a project."""
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(project.timezone))
    known = {"time": int(moment.timestamp()), "distinct_id": person}
    project.add_event(name, {**known, **(properties or {})})


def told_project() -> Project:
    """Return a project in California whose few events reports can be worked out from by hand."""
    project = Project(timezone="US/Pacific")
    first = {"price": 10, "plan": "pro", "tags": ["a", "b"], "$insert_id": "i1"}
    tell(project, "2026-11-16 10:00", "View", "ann", first)
    # stored twice, as after a retry
    tell(project, "2026-11-16 10:00", "View", "ann", {**first, "mp_processing_time_ms": 2})
    tell(project, "2026-11-16 10:30", "Buy", "ann")
    tell(project, "2026-11-16 11:00", "View", "ann", {"price": 25})
    tell(project, "2026-11-16 12:00", "View", "bob", {"price": "x", "plan": "free"})
    tell(project, "2026-11-16 13:00", "Cart", "ann")
    tell(project, "2026-11-17 08:00", "Cart", "cal")
    # already the 18th in UTC
    tell(project, "2026-11-17 23:30", "View", "bob", {"price": 5.5, "plan": "pro", "tags": ["b"]})
    tell(project, "2026-11-18 00:10", "Cart", "bob")
    tell(project, "2026-11-18 09:00", "Buy", "bob")
    # it is four in the morning of the 20th
    tell(project, "2026-11-19 02:00", "Ping", "ann")
    tell(project, "2026-11-19 02:30", "Ping", "ann")
    tell(project, "2026-11-19 05:00", "Ping", "bob")
    tell(project, "2026-11-20 03:00", "Ping", "ann")
    tell(project, "2026-11-20 03:30", "Ping", "bob")
    tell(project, "2026-10-01 09:00", "Old", "ann")
    project.funnels = [
        {"funnel_id": 1, "name": "Sale", "steps": ["View", "Cart", "Buy"], "length": 1}
    ]
    return project


def serve(project: Project) -> Sandbox:
    """Return a sandbox at noon of 2026-11-20, without a limit by time."""
    return Sandbox(
        project,
        clock=lambda: NOON,
        exports_per_second=0,
        exports_per_hour=0,
        queries_per_hour=0,
        schemas_per_minute=0,
    )


@dataclass(frozen=True)
class Response:
    """Status, head and body of a reply; the body is not decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


def basic(username: str = USERNAME, secret: str = SECRET) -> dict[str, str]:
    """Return the header of HTTP Basic."""
    encoded = base64.b64encode(f"{username}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def connect(sandbox: Sandbox) -> http.client.HTTPConnection:
    """Return a connection that is not open yet."""
    return http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=TIMEOUT_S)


def ask(
    sandbox: Sandbox,
    path: str,
    params: Mapping[str, object] | None = None,
    *,
    method: str = "GET",
    body: str | bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Ask the sandbox; `project_id` is added unless `params` has it, None leaves it out."""
    asked = {"project_id": PROJECT_ID, **(params or {})}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    connection = connect(sandbox)
    try:
        connection.request(method, f"{path}?{query}", body, {**basic(), **(headers or {})})
        reply = connection.getresponse()
        return Response(reply.status, dict(reply.getheaders()), reply.read())
    finally:
        connection.close()


def ask_raw(sandbox: Sandbox, path: str, params: Mapping[str, object], *, gzip: bool) -> bytes:
    """Ask the sandbox and return every byte until it closes the connection or resets it."""
    host = urlsplit(sandbox.url)
    head = [
        f"GET {path}?{urlencode({'project_id': PROJECT_ID, **params})} HTTP/1.1",
        f"Host: {host.netloc}",
        "Connection: close",
        f"Authorization: {basic()['Authorization']}",
        *(["Accept-Encoding: gzip"] if gzip else []),
    ]
    received = b""
    with socket.create_connection((host.hostname or "", host.port or 0), TIMEOUT_S) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        try:
            while block := connection.recv(65536):
                received += block
        except ConnectionResetError:
            received += b"<reset>"
    return received


def export(sandbox: Sandbox, first: str, last: str = "", /, **params: object) -> Response:
    """Export the days from `first` to `last`, or one day."""
    days = {"from_date": first, "to_date": last or first}
    return ask(sandbox, EXPORT_PATH, {**days, **params})


def engage(sandbox: Sandbox, **params: object) -> Response:
    """Ask for a page of profiles."""
    return ask(sandbox, "/api/query/engage", params, method="POST")


def query(sandbox: Sandbox, path: str, **params: object) -> Response:
    """Ask the query API; the path is what comes after `/api/query/`."""
    return ask(sandbox, f"/api/query/{path}", params)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail when it does not within the time-out."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)
