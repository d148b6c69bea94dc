"""Projects for the tests of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from mixpanel_sandbox import Project

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
