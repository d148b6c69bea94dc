"""Events that Mixpanel files under another day than that of their time, and replies with others."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mixpanel_sandbox import Project
from mixpanel_sandbox.endpoints import export
from tests.support.lab import Lab, open_lab
from tests.support.projects import ANCHOR, TODAY, YESTERDAY, add_event, make_project

HOUR_S = 3_600


def file_event(project: Project, day: date, number: int, at: float | None) -> None:
    """Add an event that Mixpanel files under `day`, whatever its time."""
    properties: dict[str, Any] = {
        "time": None if at is None else int(at),
        "distinct_id": "u",
        "$insert_id": f"{day}-{number}",
        "mp_processing_time_ms": int(noon_of(day) * 1000),
    }
    given = {name: value for name, value in properties.items() if value is not None}
    line = json.dumps({"event": "Order", "properties": given}).encode()
    project.events.setdefault(day, []).append(line)


def noon_of(day: date) -> float:
    """Noon in UTC."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc).timestamp()


def assert_exact(lab: Lab) -> None:
    """Assert that each served event of the days up to yesterday is there once, and no other."""
    served = [
        json.loads(line)["properties"]["$insert_id"]
        for day, lines in lab.project.events.items()
        for line in lines
        if day <= YESTERDAY
    ]
    loaded = Counter(row["insert_id"] for row in lab.rows("export"))
    assert loaded == Counter(dict.fromkeys(served, 1))


def shift_project(hours: int) -> Project:
    """A project whose times are hours away from those its days were made for."""
    project = Project()
    for day in (ANCHOR + timedelta(days=number) for number in range(8)):
        for hour in (1, 12, 23):
            file_event(project, day, hour, noon_of(day) + (hour - 12 + hours) * HOUR_S)
    return project


def without_times() -> Project:
    """A project none of whose events has a time."""
    project = Project()
    for number in range(8):
        file_event(project, ANCHOR + timedelta(days=number), 0, None)
    return project


ODD_PROJECTS = {
    "9 hours later": shift_project(9),
    "25 hours earlier": shift_project(-25),
    "no times": without_times(),
}


@pytest.mark.parametrize(
    ("name", "window_days"),
    [
        ("9 hours later", 3),
        ("25 hours earlier", "auto"),
        pytest.param("no times", 7, marks=pytest.mark.slow),
    ],
)
def test_daily_syncs_are_exact(name: str, window_days: int | str) -> None:
    """The borders of the look-back move through the windows of the syncs before."""
    project = Project(events={day: [*lines] for day, lines in ODD_PROJECTS[name].events.items()})
    with open_lab(project) as lab:
        # without a time, an event deleted from any day of a window may be one of a settled day
        lab.overrides = {"window_days": window_days, "accept_deletions": name == "no times"}
        lab.clock.advance(days=-2)
        for round_number in range(2):
            late = ANCHOR + timedelta(days=2 + round_number)
            lab.sync("export")
            file_event(project, late, 40, noon_of(late) + 13 * HOUR_S)
            project.events[late].pop(0)
            lab.clock.advance(days=1)
        lab.sync("export")
        assert_exact(lab)


def test_backfills_are_exact(any_lab: Lab) -> None:
    """Backfills with other windows, halved ones too, leave each event once."""
    any_lab.project.events = {d: [*e] for d, e in ODD_PROJECTS["9 hours later"].events.items()}
    any_lab.sync("export", window_days=7)
    days = [ANCHOR + timedelta(days=number) for number in range(8)]
    chance = random.Random(3)  # noqa: S311 - the same ranges every time
    for window_days in (1, 3, 2, "auto"):
        first, last = sorted(chance.sample(days, 2))
        result = any_lab.backfill(f"{first},{last}", window_days=window_days)
        assert result.failures == {}
        assert_exact(any_lab)


class UnlimitedExport:
    """Serves all events whatever days are requested."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(context: Any, _first: date, _last: date) -> Iterator[bytes]:
            return chain.from_iterable([*context.project.events.values()])

        monkeypatch.setattr(export, "_read_lines", read)


@pytest.mark.parametrize(
    ("window_days", "days"),
    [(1, 8), (3, 2), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, 2), (3, 8)))],
)
def test_server_that_ignores_the_window(
    days: int, window_days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event is loaded with the window of its own day alone, and the others are counted."""
    UnlimitedExport(monkeypatch)
    first = YESTERDAY - timedelta(days=days - 1)
    with open_lab(make_project(first)) as lab:
        for _ in range(2):
            lab.sync("export", anchor_date=first, window_days=window_days)
            lab.assert_events_kept(first)
            lab.clock.advance(days=0.01)
        dropped = sum(row["rows_outside_window"] for row in lab.rows("_mixpanel_loads"))
        assert (dropped > 0) == (days > window_days)


def test_one_more_request_tells_them_apart(lab: Lab) -> None:
    """Whether the day of an event serves it as well is looked up once per run."""
    lab.project.events = {d: [*e] for d, e in ODD_PROJECTS["9 hours later"].events.items()}
    lab.backfill(f"{ANCHOR},{ANCHOR}")
    assert lab.exported == [str(ANCHOR), str(ANCHOR + timedelta(days=1))]
    # a day that is loaded as well is requested only once
    lab.sync("export")
    assert len(lab.exported) == 8
    assert_exact(lab)


def test_days_of_another_zone(any_lab: Lab) -> None:
    """Days that begin at midnight in a zone that changes its clocks, while the times are in UTC."""
    project, zone = Project(), ZoneInfo("America/New_York")
    days = [date(2026, 10, 30) + timedelta(days=number) for number in range(5)]
    for day in days:
        midnights = [datetime.combine(d, time(), zone) for d in (day, day + timedelta(days=1))]
        start, end = (midnight.timestamp() for midnight in midnights)
        for number, at in enumerate((start, (start + end) // 2, end - 1)):
            file_event(project, day, number, at)
    any_lab.project.events = project.events
    any_lab.backfill(f"{days[0]},{days[-1]}", window_days=2)
    any_lab.backfill(f"{days[1]},{days[3]}", window_days=3)
    assert_exact(any_lab)
    any_lab.backfill(f"{days[0]},{days[-1]}", accept_deletions=True)
    assert_exact(any_lab)
    assert set(any_lab.count_by_day().values()) == {3}


def test_late_events_of_other_days_are_found(lab: Lab) -> None:
    """A catch-up reads the days around, where events are filed under other days."""
    lab.project.events = {d: [*e] for d, e in ODD_PROJECTS["9 hours later"].events.items()}
    lab.sync("export", window_days=7)
    lab.clock.advance(days=10)
    late = ANCHOR + timedelta(days=2)
    add_event(lab.project, late + timedelta(days=1), 5, mp_processing_time_ms=0)
    line = json.loads(lab.project.events[late + timedelta(days=1)].pop())
    line["properties"]["mp_processing_time_ms"] = int(lab.clock.now * 1000)
    lab.project.events[late].append(json.dumps(line).encode())
    lab.clock.advance(days=1)
    lab.catch_up()
    assert_exact(lab)


def test_today_is_later() -> None:
    """The own day of an event may be one that cannot be requested yet."""
    project = Project()
    file_event(project, YESTERDAY, 1, noon_of(TODAY + timedelta(days=1)))
    with open_lab(project) as lab:
        lab.sync("export", anchor_date=YESTERDAY)
        assert lab.exported == [str(YESTERDAY)]
        assert_exact(lab)


def test_same_id_with_other_content(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Such duplicates are dropped as always, counted apart and reported once."""
    for number, properties in ((0, {"price": 9}), (1, {}), (2, {"mp_processing_time_ms": 1})):
        add_event(lab.project, YESTERDAY, number, **properties)
    lab.sync("export")
    lab.assert_events_kept()
    (row,) = [row for row in lab.rows("_mixpanel_loads") if row["duplicates_dropped"]]
    assert (row["duplicates_dropped"], row["duplicates_differing"]) == (3, 1)
    assert caplog.text.count("1 duplicates have other content") == 1


def test_another_zone_is_reported_until_all_days_have_it(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """The days that were loaded with another `project_timezone` are named by each run."""
    lab.sync("export")
    lab.overrides = {"project_timezone": "Asia/Tokyo"}
    for _ in range(2):
        caplog.clear()
        lab.sync("export")
        warning = "project_timezone is Asia/Tokyo, but 2026-11-13..2026-11-"
        assert caplog.text.count(warning) == 1
    lab.backfill(f"{ANCHOR},{YESTERDAY}")
    caplog.clear()
    lab.sync("export")
    assert "project_timezone" not in caplog.text
