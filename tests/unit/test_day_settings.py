"""Which settings each day was loaded with."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.config.build import build_config
from mixpanel_source.tables.events.day_settings import DaySettings
from mixpanel_source.windows import Window

START = date(2026, 3, 1)


def settings_of(state: dict[str, Any], **given: Any) -> DaySettings:
    """The settings of a run, with the state as the destination returns it."""
    config = build_config({"username": "u", "secret": "s", "project_id": 1, **given})
    state.update(json.loads(json.dumps(state)))
    return DaySettings(state, config)


def days(first: int, last: int) -> Window:
    """A window of March 2026."""
    return Window(START + timedelta(days=first), START + timedelta(days=last))


def test_days_with_another_zone_are_named_until_they_are_loaded_again() -> None:
    """Each run names them, with the command that loads them."""
    state: dict[str, Any] = {}
    settings_of(state).record(days(0, 9))
    tokyo = settings_of(state, project_timezone="Asia/Tokyo")
    tokyo.record(days(5, 11))
    (warning,) = tokyo.warnings()
    assert (
        "project_timezone is Asia/Tokyo, but 2026-03-01..2026-03-05 were loaded with UTC" in warning
    )
    assert warning.endswith("backfill --range 2026-03-01,2026-03-05")
    tokyo.record(days(0, 2))
    assert len([*tokyo.warnings()]) == 1
    tokyo.record(days(3, 4))
    assert [*tokyo.warnings()] == []
    (warning,) = settings_of(state, properties="json", project_timezone="Asia/Tokyo").warnings()
    assert "properties is json, but 2026-03-01..2026-03-12 were loaded with columns" in warning


def test_days_loaded_before_this_was_kept() -> None:
    """They are taken to have the settings of the first run that knows."""
    state: dict[str, Any] = {}
    settings_of(state).start(None)
    assert state == {}
    settings_of(state).start(days(0, 3))
    settings_of(state, properties="json").start(days(0, 3))
    assert len([*settings_of(state, properties="both").warnings()]) == 1
    assert [*settings_of(state).warnings()] == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from("AB")), max_size=9))
def test_any_order_of_windows(loads: list[tuple[int, int, str]]) -> None:
    """A day has the settings of its last load."""
    state: dict[str, Any] = {}
    zones = {"A": "UTC", "B": "Asia/Tokyo"}
    expected: dict[date, str] = {}
    for one, other, zone in loads:
        window = days(*sorted((one, other)))
        settings_of(state, project_timezone=zones[zone]).record(window)
        expected |= dict.fromkeys(window.days, zones[zone])
    found = {
        day: values["project_timezone"]
        for first, last, values in state.get("day_settings", [])
        for day in Window(date.fromisoformat(first), date.fromisoformat(last)).days
    }
    assert found == expected
