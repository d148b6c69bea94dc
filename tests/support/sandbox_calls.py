"""Requests to the sandbox that return raw responses."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from mixpanel_sandbox import PROJECT_ID, SECRET, USERNAME, Sandbox
from tests.support.clock import TIMEOUT_S

EXPORT_PATH = "/api/2.0/export"


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


def connect(sandbox: Sandbox, url: str | None = None) -> http.client.HTTPConnection:
    """Return a connection, not opened yet; `url` is the base URL if it is another one."""
    return http.client.HTTPConnection(urlsplit(url or sandbox.url).netloc, timeout=TIMEOUT_S)


def send(
    sandbox: Sandbox,
    path: str,
    params: Mapping[str, object] | None = None,
    *,
    method: str = "GET",
    body: str | bytes | None = None,
    headers: Mapping[str, str] | None = None,
    url: str | None = None,
) -> Response:
    """Send a request; `project_id` is added by default, `project_id=None` omits it."""
    query_params = {"project_id": PROJECT_ID, **(params or {})}
    query = urlencode({name: value for name, value in query_params.items() if value is not None})
    connection = connect(sandbox, url)
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
