"""Some profiles only: those a filter lets through, and those updated since the last time."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from mixpanel_sandbox import Fault
from mixpanel_source.tables.package import TablePart
from tests.support.lab import Lab

WEEKLY = {"engage_full_days": 7}


def seen(lab: Lab) -> str:
    """Now, as `$last_seen` has it."""
    return datetime.fromtimestamp(lab.clock.now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def put(lab: Lab, distinct_id: str, **properties: Any) -> None:
    """Set a profile as it was updated just now."""
    drop(lab, distinct_id)
    lab.project.add_profile(distinct_id, {"$last_seen": seen(lab), **properties})


def fill(lab: Lab) -> None:
    """Five profiles, all updated two hours ago."""
    for number in range(5):
        put(lab, f"u{number}", plan="free")
    lab.clock.advance(seconds=7_200)


def drop(lab: Lab, distinct_id: str) -> None:
    """Delete a profile."""
    lab.project.profiles[:] = [
        row for row in lab.project.profiles if json.loads(row)["$distinct_id"] != distinct_id
    ]


def plans(lab: Lab) -> dict[str, str]:
    """Profile -> plan, as loaded."""
    return {row["distinct_id"]: row["plan"] for row in lab.rows("engage")}


@pytest.mark.parametrize(
    ("given", "loaded"),
    [
        ({"engage_where": 'properties["plan"] == "pro"'}, {"u1", "u3"}),
        pytest.param({"engage_cohort": 1}, {"u0", "u3"}, marks=pytest.mark.slow),
        ({"engage_cohort": 1, "engage_where": 'properties["plan"] == "pro"'}, {"u3"}),
    ],
    ids=["where", "cohort", "both"],
)
def test_filters(lab: Lab, given: dict[str, Any], loaded: set[str]) -> None:
    """Only the profiles that they let through are loaded; what was loaded before goes."""
    for number in range(5):
        put(lab, f"u{number}", plan="pro" if number % 2 else "free")
    lab.project.cohort_members[1] = ["u0", "u3", "no-profile"]
    lab.sync("engage")
    lab.sync("engage", **given)
    assert set(plans(lab)) == loaded
    (newest,) = (row for row in lab.rows("_mixpanel_loads") if row["rows"] == len(loaded))
    assert "cohort" in newest["filters"] or "where" in newest["filters"]


def test_output_properties(lab: Lab) -> None:
    """Only these properties are asked for and loaded."""
    for number in range(3):
        put(lab, f"u{number}", plan="pro", age=number)
    lab.project.profiles[:] = lab.project.profiles[-3:]
    lab.sync("engage", engage_output_properties="plan, $name")
    assert lab.requests_for("engage")[0].params["output_properties"] == '["plan","$name"]'
    assert {row["property"] for row in lab.rows("_mixpanel_columns")} == {"plan"}


def test_behaviors_hold_on_to_a_moment(lab: Lab) -> None:
    """The same moment goes with every page, or Mixpanel refuses the second one."""
    behaviors = [{"window": "30d", "name": "b", "event_selectors": [{"event": "Order"}]}]
    given = {"engage_behaviors": behaviors, "engage_where": '(behaviors["b"] > 0)'}
    report = lab.sync("engage", engage_page_size=2, **given)
    assert report.failures == {}
    asked = lab.requests_for("engage")
    assert len(asked) == 3
    assert len({record.params["as_of_timestamp"] for record in asked}) == 1
    assert json.loads(asked[0].params["behaviors"]) == behaviors


def test_only_what_was_updated_since_is_asked_for(any_lab: Lab) -> None:
    """Between two full readings profiles that changed and came are loaded, the rest stays."""
    fill(any_lab)
    any_lab.sync("engage", **WEEKLY)
    any_lab.clock.advance(days=1)
    put(any_lab, "u1", plan="pro")
    put(any_lab, "new", plan="trial")
    report = any_lab.sync("engage", **WEEKLY)
    assert report.rows == {"engage": 2}
    (asked,) = any_lab.requests_for("engage")
    assert asked.params["where"] == '(properties["$last_seen"] >= "2026-11-21T13:01:00")'
    any_lab.assert_profiles_kept()
    assert plans(any_lab)["u1"] == "pro"
    any_lab.clock.advance(days=1)
    assert any_lab.sync("engage", **WEEKLY).failures == {}
    any_lab.assert_profiles_kept()


def test_full_reading_removes_the_deleted(any_lab: Lab) -> None:
    """What an update does not show, a profile deleted or set in silence, waits for its turn."""
    fill(any_lab)
    any_lab.sync("engage", **WEEKLY)
    drop(any_lab, "u0")
    any_lab.project.profiles[0] = any_lab.project.profiles[0].replace(b'"free"', b'"silent"')
    any_lab.clock.advance(days=6)
    any_lab.sync("engage", **WEEKLY)
    assert "u0" in plans(any_lab)
    any_lab.clock.advance(days=1)
    any_lab.sync("engage", **WEEKLY)
    assert "where" not in any_lab.requests_for("engage")[0].params
    any_lab.assert_profiles_kept()
    assert "silent" in plans(any_lab).values()


def test_nothing_updated_changes_nothing(any_lab: Lab) -> None:
    """An empty answer to what was updated leaves all the profiles there are."""
    fill(any_lab)
    any_lab.sync("engage", **WEEKLY)
    any_lab.clock.advance(days=1)
    assert any_lab.sync("engage", **WEEKLY).rows == {"engage": 0}
    any_lab.assert_profiles_kept()


def test_changed_filter_reads_all(lab: Lab) -> None:
    """With another filter what is loaded is no base to go on from."""
    for number in range(5):
        put(lab, f"u{number}", plan="pro" if number % 2 else "free")
    lab.sync("engage", **WEEKLY)
    lab.clock.advance(days=1)
    lab.sync("engage", engage_where='properties["plan"] == "pro"', **WEEKLY)
    assert set(plans(lab)) == {"u1", "u3"}
    lab.clock.advance(days=1)
    put(lab, "u0", plan="pro")
    lab.sync("engage", engage_where='properties["plan"] == "pro"', **WEEKLY)
    assert set(plans(lab)) == {"u0", "u1", "u3"}


def test_crash_between_updates_loses_nothing(any_lab: Lab) -> None:
    """The state moves with the data: what a crash kept from being loaded is asked for again."""
    fill(any_lab)
    any_lab.sync("engage", **WEEKLY)
    any_lab.clock.advance(days=1)
    put(any_lab, "u1", plan="pro")
    any_lab.leave_pending_package("engage", **WEEKLY)
    any_lab.clock.advance(days=1)
    any_lab.sync("engage", **WEEKLY)
    any_lab.assert_profiles_kept()


def test_update_that_is_cut_short_is_refused(lab: Lab) -> None:
    """The number announced holds for a part of the profiles as for all."""
    fill(lab)
    lab.sync("engage", **WEEKLY)
    lab.clock.advance(days=1)
    for number in range(3):
        put(lab, f"u{number}", plan="pro")
    lab.sandbox.inject(Fault("short_page", page=0, times=6))
    assert list(lab.sync("engage", engage_page_size=10, **WEEKLY).failures) == [TablePart("engage")]
    assert set(plans(lab).values()) == {"free"}
    lab.sync("engage", **WEEKLY)
    lab.assert_profiles_kept()
