"""Test projects, and requests to the sandbox that return raw responses."""

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
# bytes that no JSON serialiser produces: they must be served unchanged
LINES = [
    b'{"event":"Signed up","properties":{"time":1793664001,"distinct_id":"u1","plan":"pro"}}',
    b'{"event": "Order", "properties": {"plan":"free","big":1e21,"time": 1793664002}}',
    b'{"event":"Order","properties":{"device":{"time":5},"time":1793664003,"x":"\\"time\\":1"}}',
    b'{"event":"Order","properties":{"time":1793664004123,"plan":"pro"}}',
    b'{"event":"Order","properties":{"time":"2026-11-03T00:00:05"}}',
    b'{"event":"time","properties":{"kind":"time"}}',
]


def small_project() -> Project:
    """Return a project with one day of events, five profiles, two cohorts and a group."""
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


def add_event(
    project: Project,
    local: str,
    name: str,
    distinct_id: str,
    properties: Mapping[str, Any] | None = None,
) -> None:
    """Add an event at a local time of the project, such as `2026-11-16 10:00`."""
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(project.timezone))
    required = {"time": int(moment.timestamp()), "distinct_id": distinct_id}
    project.add_event(name, {**required, **(properties or {})})


def report_project() -> Project:
    """Return a project in California with few events, so that reports can be computed by hand."""
    project = Project(timezone="US/Pacific")
    first = {"price": 10, "plan": "pro", "tags": ["a", "b"], "$insert_id": "i1"}
    add_event(project, "2026-11-16 10:00", "View", "ann", first)
    # a duplicate, as after a retry
    add_event(project, "2026-11-16 10:00", "View", "ann", {**first, "mp_processing_time_ms": 2})
    add_event(project, "2026-11-16 10:30", "Buy", "ann")
    add_event(project, "2026-11-16 11:00", "View", "ann", {"price": 25})
    add_event(project, "2026-11-16 12:00", "View", "bob", {"price": "x", "plan": "free"})
    add_event(project, "2026-11-16 13:00", "Cart", "ann")
    add_event(project, "2026-11-17 08:00", "Cart", "cal")
    # the 18th in UTC
    add_event(
        project, "2026-11-17 23:30", "View", "bob", {"price": 5.5, "plan": "pro", "tags": ["b"]}
    )
    add_event(project, "2026-11-18 00:10", "Cart", "bob")
    add_event(project, "2026-11-18 09:00", "Buy", "bob")
    # the current time is 04:00 on the 20th
    add_event(project, "2026-11-19 02:00", "Ping", "ann")
    add_event(project, "2026-11-19 02:30", "Ping", "ann")
    add_event(project, "2026-11-19 05:00", "Ping", "bob")
    add_event(project, "2026-11-20 03:00", "Ping", "ann")
    add_event(project, "2026-11-20 03:30", "Ping", "bob")
    add_event(project, "2026-10-01 09:00", "Old", "ann")
    project.funnels = [
        {"funnel_id": 1, "name": "Sale", "steps": ["View", "Cart", "Buy"], "length": 1}
    ]
    return project


def serve(project: Project) -> Sandbox:
    """Return a sandbox at noon UTC of 2026-11-20, without rate limits over time."""
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
    """An HTTP response; the body is not decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


def basic_auth(username: str = USERNAME, secret: str = SECRET) -> dict[str, str]:
    """Return the header for HTTP Basic authentication."""
    encoded = base64.b64encode(f"{username}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def connect(sandbox: Sandbox) -> http.client.HTTPConnection:
    """Return a connection, not opened yet."""
    return http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=TIMEOUT_S)


def send(
    sandbox: Sandbox,
    path: str,
    params: Mapping[str, object] | None = None,
    *,
    method: str = "GET",
    body: str | bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send a request; `project_id` is added by default, `project_id=None` omits it."""
    query_params = {"project_id": PROJECT_ID, **(params or {})}
    query = urlencode({name: value for name, value in query_params.items() if value is not None})
    connection = connect(sandbox)
    try:
        connection.request(method, f"{path}?{query}", body, {**basic_auth(), **(headers or {})})
        response = connection.getresponse()
        return Response(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def send_raw(sandbox: Sandbox, path: str, params: Mapping[str, object], *, gzip: bool) -> bytes:
    """Send a GET request and return all bytes until the connection is closed or reset."""
    host = urlsplit(sandbox.url)
    head = [
        f"GET {path}?{urlencode({'project_id': PROJECT_ID, **params})} HTTP/1.1",
        f"Host: {host.netloc}",
        "Connection: close",
        f"Authorization: {basic_auth()['Authorization']}",
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
    """Export the days from `first` to `last`, or a single day."""
    days = {"from_date": first, "to_date": last or first}
    return send(sandbox, EXPORT_PATH, {**days, **params})


def engage(sandbox: Sandbox, **params: object) -> Response:
    """Request a page of profiles."""
    return send(sandbox, "/api/query/engage", params, method="POST")


def query(sandbox: Sandbox, path: str, **params: object) -> Response:
    """Send a query; the path is relative to `/api/query/`."""
    return send(sandbox, f"/api/query/{path}", params)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, at most `TIMEOUT_S` seconds."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.002)
