"""Small projects with predictable events."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

from mixpanel_sandbox import Project
from mixpanel_source.windows import iter_days

ANCHOR = date(2026, 11, 13)
"""First day of `make_project`."""
YESTERDAY = date(2026, 11, 20)
"""Last day of `make_project`, and the day before a test `Clock` starts."""
TODAY = date(2026, 11, 21)
LOOKBACK = ["2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"]
"""Days that a sync reads again by default."""
ALL_DAYS = ["2026-11-13", "2026-11-14", "2026-11-15", *LOOKBACK]
"""From `ANCHOR` to `YESTERDAY`."""
EVENTS_PER_DAY = 3


def make_project(first: date = ANCHOR, last: date = YESTERDAY) -> Project:
    """Return a project with `EVENTS_PER_DAY` events a day, five profiles and a cohort."""
    project = Project(cohorts=[{"id": 1, "project_id": 1234567, "name": "All", "count": 5}])
    for day in iter_days(first, last):
        for number in range(EVENTS_PER_DAY):
            add_event(project, day, number)
    for number in range(5):
        project.add_profile(f"u{number}", {"$name": f"Name {number}", "plan": "pro"})
    return project


def make_recent_project(days: int) -> Project:
    """Return a project whose last day is yesterday by the system clock."""
    yesterday = datetime.now(timezone.utc).date() - timedelta(days=1)
    return make_project(yesterday - timedelta(days=days - 1), yesterday)


def add_event(project: Project, day: date, number: int, **properties: Any) -> None:
    """Add an event of one of two users; `number` is its minute of the day and part of its id."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    properties = {
        "time": int((midnight + timedelta(minutes=number)).timestamp()),
        "distinct_id": f"u{number % 2}",
        "$insert_id": f"{day}-{number}",
        "mp_processing_time_ms": int(midnight.timestamp()) * 1000 + 500,
        "price": number,
        "plan": "pro" if number % 2 else "free",
        **properties,
    }
    project.add_event("Order" if number else "Sign up", properties)
