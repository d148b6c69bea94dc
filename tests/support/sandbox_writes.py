"""Writing requests to the sandbox, and what it serves afterwards."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import date, datetime, timezone
from typing import Any

from mixpanel_sandbox import Sandbox
from tests.support.sandbox_calls import Response, engage, export, send

NDJSON = "application/x-ndjson"


def make_event(number: Any = 0, *, time: Any, **properties: Any) -> dict[str, Any]:
    """Return a valid event; properties of None are left out."""
    given = {"time": time, "distinct_id": f"u{number}", "$insert_id": f"id-{number}", "ip": 0}
    kept = {name: value for name, value in (given | properties).items() if value is not None}
    return {"event": "Ping", "properties": kept}


def import_events(
    sandbox: Sandbox,
    events: Iterable[object],
    *,
    url: str | None = None,
    compress: bool = False,
    lines: bool = False,
    headers: dict[str, str] | None = None,
    **params: object,
) -> Response:
    """Send events to /import."""
    texts = [json.dumps(event) for event in events]
    body = ("\n".join(texts) if lines else f"[{','.join(texts)}]").encode()
    given = {"Content-Type": NDJSON if lines else "application/json"}
    if compress:
        body, given["Content-Encoding"] = gzip.compress(body), "gzip"
    return send(
        sandbox,
        "/import",
        {"strict": 1, **params},
        method="POST",
        body=body,
        headers={**given, **(headers or {})},
        url=url,
    )


def update(
    sandbox: Sandbox,
    path: str,
    updates: Iterable[object],
    *,
    body: bytes | None = None,
    **params: object,
) -> Any:
    """Send updates to /engage or /groups, without credentials, and return the verdict."""
    response = send(
        sandbox,
        path,
        {"verbose": 1, "project_id": None, **params},
        method="POST",
        body=json.dumps(list(updates)).encode() if body is None else body,
        headers={"Content-Type": "application/json", "Authorization": ""},
    )
    assert response.status == 200
    return response.json()


def exported(sandbox: Sandbox, day: date, **params: object) -> list[dict[str, Any]]:
    """Return the events of a day."""
    lines = export(sandbox, day.isoformat(), **params).body.splitlines()
    return [json.loads(line) for line in lines]


def profiles(sandbox: Sandbox, **params: object) -> dict[str, dict[str, Any]]:
    """Return the properties of all profiles by their id."""
    rows = engage(sandbox, **params).json()["results"]
    return {row["$distinct_id"]: row["$properties"] for row in rows}


def day_of(time: float) -> date:
    """Return the UTC date of a time in epoch seconds."""
    return datetime.fromtimestamp(time, timezone.utc).date()
