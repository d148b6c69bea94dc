"""The export of the sandbox behaves as documented, or as measured."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from mixpanel_sandbox import Project, Sandbox
from tests.integration.sandbox_calls import (
    DAY,
    DAY_EPOCH_S,
    LINES,
    ask,
    export,
    serve,
    small_project,
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


def test_export_serves_the_stored_bytes(sandbox: Sandbox) -> None:
    """Lines are copied, not serialised again; every one ends with a newline."""
    reply = export(sandbox, "2026-11-01", "2026-11-20")
    assert reply.headers["Content-Type"] == "text/plain"
    assert reply.headers["Transfer-Encoding"] == "chunked"
    assert reply.body == b"".join(line + b"\n" for line in LINES)


def test_both_ends_of_the_range_count(sandbox: Sandbox, project: Project) -> None:
    """The range is inclusive, a trailing slash is tolerated."""
    for day in (2, 4, 5):
        time = DAY_EPOCH_S + (day - 3) * 86_400
        assert project.add_event(f"e{day}", {"time": time}) == date(2026, 11, day)
    reply = ask(sandbox, "/api/2.0/export/", {"from_date": "2026-11-02", "to_date": "2026-11-04"})
    names = [json.loads(line)["event"] for line in reply.body.splitlines()]
    assert names[0] == "e2"
    assert names[-1] == "e4"
    assert len(names) == len(LINES) + 2


def test_an_empty_range_has_an_empty_body(sandbox: Sandbox) -> None:
    """Nothing to export is 200 and zero bytes."""
    reply = export(sandbox, "2026-11-19")
    assert (reply.status, reply.body) == (200, b"")


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
def test_export_refuses_wrong_parameters(
    sandbox: Sandbox, params: dict[str, object], error: str
) -> None:
    """A wrong parameter is a 400 that names it."""
    reply = export(sandbox, "2026-11-03", **params)
    assert reply.status == 400
    assert reply.json()["error"].startswith(error)
    assert reply.json()["request"].startswith("/api/2.0/export?")


def test_today_is_a_day_of_the_project(sandbox: Sandbox, project: Project) -> None:
    """At noon in London it is tomorrow in the far east, and the export allows tomorrow."""
    assert export(sandbox, "2026-11-21").status == 400
    project.timezone = "Pacific/Kiritimati"
    assert export(sandbox, "2026-11-21").status == 200


def test_time_in_ms_changes_whole_seconds_only(sandbox: Sandbox) -> None:
    """Only the event's own time is changed; all other bytes stay."""
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
    """Filters by event and by expression hold together, and the limit comes last."""
    asked: dict[str, Any] = {"event": '["Order"]', "where": 'defined(properties["plan"])'}
    assert export(sandbox, "2026-11-03", **asked).body.splitlines() == [LINES[1], LINES[3]]
    assert export(sandbox, "2026-11-03", **asked, limit=1).body.splitlines() == [LINES[1]]


def test_gzip_is_for_large_bodies_and_those_who_ask(sandbox: Sandbox, project: Project) -> None:
    """Over 1400 bytes and with Accept-Encoding the body is gzip, else it is not."""
    headers = {"Accept-Encoding": "gzip, deflate"}
    asked = {"from_date": "2026-11-03", "to_date": "2026-11-03"}
    small = ask(sandbox, "/api/2.0/export", asked, headers=headers)
    assert "Content-Encoding" not in small.headers
    project.events[DAY] = LINES * 1000
    large = ask(sandbox, "/api/2.0/export", asked, headers=headers)
    assert large.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(large.body) == export(sandbox, "2026-11-03").body
