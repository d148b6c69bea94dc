"""The export of the sandbox behaves as documented or observed."""

from __future__ import annotations

import gzip
import json
from datetime import date
from typing import Any

import pytest

from mixpanel_sandbox import Project, Sandbox
from tests.integration.sandbox.projects import DAY, DAY_EPOCH_S, LINES
from tests.support.sandbox_calls import export, send


def test_export_serves_the_stored_bytes(sandbox: Sandbox) -> None:
    """Lines are served unchanged, each with a newline."""
    response = export(sandbox, "2026-11-01", "2026-11-20")
    assert response.headers["Content-Type"] == "text/plain"
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert response.body == b"".join(line + b"\n" for line in LINES)


def test_date_range_is_inclusive(sandbox: Sandbox, project: Project) -> None:
    """Both ends are included; a trailing slash in the path is accepted."""
    for day in (2, 4, 5):
        time = DAY_EPOCH_S + (day - 3) * 86_400
        assert project.add_event(f"e{day}", {"time": time}) == date(2026, 11, day)
    response = send(
        sandbox, "/api/2.0/export/", {"from_date": "2026-11-02", "to_date": "2026-11-04"}
    )
    names = [json.loads(line)["event"] for line in response.body.splitlines()]
    assert names[0] == "e2"
    assert names[-1] == "e4"
    assert len(names) == len(LINES) + 2


def test_date_range_without_events(sandbox: Sandbox) -> None:
    """The response is 200 with an empty body."""
    response = export(sandbox, "2026-11-19")
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"from_date": None}, "from_date is a required parameter"),
        ({"from_date": "20261103"}, "Error in from_date: invalid date"),
        ({"to_date": "2026-11-31"}, "Error in to_date: invalid date"),
        ({"from_date": "1999-12-31"}, "Error in from_date: invalid date, bad year"),
        ({"from_date": "2026-11-04"}, "from_date cannot be later"),
        ({"to_date": "2026-11-21"}, "to_date cannot be later than today"),
        ({"event": "Order"}, "Error in event"),
        ({"limit": 100_001}, "Error in limit"),
        ({"where": "properties["}, "the expression ends too early"),
        ({"where": 'properties["plan"]'}, "expected true or false"),
    ],
)
def test_invalid_parameters(sandbox: Sandbox, params: dict[str, object], error: str) -> None:
    """An invalid parameter is a 400 whose message names it."""
    response = export(sandbox, "2026-11-03", **params)
    assert response.status == 400
    assert response.json()["error"].startswith(error)
    assert response.json()["request"].startswith("/api/2.0/export?")


def test_today_is_in_the_project_timezone(sandbox: Sandbox, project: Project) -> None:
    """At noon UTC it is already the next day in Kiritimati, which can then be exported."""
    assert export(sandbox, "2026-11-21").status == 400
    project.timezone = "Pacific/Kiritimati"
    assert export(sandbox, "2026-11-21").status == 200


def test_time_in_ms_changes_whole_seconds_only(sandbox: Sandbox) -> None:
    """Only `properties.time` is converted; all other bytes are unchanged."""
    lines = export(sandbox, "2026-11-03", time_in_ms="true").body.splitlines()
    assert lines == [
        LINES[0].replace(b"1793664001", b"1793664001000"),
        LINES[1].replace(b"1793664002", b"1793664002000"),
        LINES[2].replace(b"1793664003", b"1793664003000"),
        LINES[3],
        LINES[4],
        LINES[5],
    ]


def test_export_filters(sandbox: Sandbox) -> None:
    """Event and expression filters are combined, and the limit is applied last."""
    params: dict[str, Any] = {"event": '["Order"]', "where": 'defined(properties["plan"])'}
    assert export(sandbox, "2026-11-03", **params).body.splitlines() == [LINES[1], LINES[3]]
    assert export(sandbox, "2026-11-03", **params, limit=1).body.splitlines() == [LINES[1]]


def test_gzip_needs_a_large_body_and_the_header(sandbox: Sandbox, project: Project) -> None:
    """Only bodies above 1,400 bytes are compressed, and only with `Accept-Encoding`."""
    headers = {"Accept-Encoding": "gzip, deflate"}
    params = {"from_date": "2026-11-03", "to_date": "2026-11-03"}
    small = send(sandbox, "/api/2.0/export", params, headers=headers)
    assert "Content-Encoding" not in small.headers
    project.events[DAY] = LINES * 1000
    large = send(sandbox, "/api/2.0/export", params, headers=headers)
    assert large.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(large.body) == export(sandbox, "2026-11-03").body
