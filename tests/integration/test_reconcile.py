"""What is loaded is compared with what the sandbox counts by itself, from the same events."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from mixpanel_sandbox import Fault
from mixpanel_source import cli
from mixpanel_source.commands.event_counts import Comparison
from mixpanel_source.commands.reconcile import Reconciliation, reconcile
from mixpanel_source.errors import ConfigError, PausedError, PlanError
from tests.support.lab import Lab
from tests.support.projects import ANCHOR, EVENTS_PER_DAY, YESTERDAY, add_event

SETTLED = date(2026, 11, 15)
"""The last day that no sync reads again."""
DAYS = [ANCHOR, ANCHOR + timedelta(days=1), SETTLED]


def compared(lab: Lab, **given: Any) -> Reconciliation:
    """What the project of the lab counts beside what is loaded."""
    lab.sandbox.forget_requests()
    destination = lab.pipeline.destination.destination_name
    return reconcile(destination=destination, clock=lab.clock, **{**lab.settings, **given})


def asked(lab: Lab) -> list[str]:
    """The last part of each address asked for since."""
    return [record.path.rpartition("/")[2] for record in lab.sandbox.requests]


def beyond(found: Reconciliation) -> list[tuple[str, str, int, int]]:
    """What differs by more than it may."""
    return [
        (str(one.day), one.event, one.loaded, one.counted)
        for one in found.comparisons
        if not one.within
    ]


def test_what_differs_is_told(any_lab: Lab) -> None:
    """What was synced agrees; events that came late, were deleted or are of a new name do not."""
    any_lab.sync("export")
    found = compared(any_lab)
    assert found.agrees
    assert (found.days, found.zone) == (DAYS, "UTC")
    assert found.comparisons[0] == Comparison(ANCHOR, "Order", 2, 2, within=True)
    assert len(found.comparisons) == 2 * len(DAYS)
    assert sum(one.counted for one in found.comparisons) == EVENTS_PER_DAY * len(DAYS)
    assert asked(any_lab) == ["me", "names", "events"]
    assert found.requests == 3

    add_event(any_lab.project, ANCHOR, 7)
    del any_lab.project.events[DAYS[1]][0]
    any_lab.project.add_event("New", {"time": 1_794_700_900, "distinct_id": "u"})
    found = compared(any_lab)
    assert not found.agrees
    assert beyond(found) == [
        ("2026-11-13", "Order", 2, 3),
        ("2026-11-14", "Sign up", 1, 0),
        ("2026-11-15", "New", 0, 1),
    ]
    assert [one.difference for one in found.comparisons if not one.within] == [-1, 1, -1]


def test_rejected_rows_are_counted_apart(
    configured_lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are no events here, and the difference they may make is explained."""
    events = configured_lab.project.events
    for day in (ANCHOR, YESTERDAY):
        events[day].append(b'{"event":null,"properties":{}}')
    configured_lab.sync("export")
    for day in (ANCHOR, YESTERDAY):
        events[day].pop()
    found = compared(configured_lab)
    assert (found.agrees, found.rejected) == (True, 1)
    assert cli.main(["reconcile", "--range", f"{ANCHOR},{YESTERDAY}"]) == 0
    assert "not counted here: 2 rows in _mixpanel_rejected" in capsys.readouterr().out


def test_days_are_those_of_the_project(any_lab: Lab) -> None:
    """Where the project's days are not UTC's, the rows are counted by its days, whole ones only."""
    for hour in range(0, 24, 3):
        at = 1_794_614_400 + hour * 3_600  # of 2026-11-14
        any_lab.project.add_event("Hourly", {"time": at, "distinct_id": "u", "$insert_id": at})
    any_lab.sync("export")
    for zone, days, hourly in (
        ("Asia/Kolkata", DAYS[1:], {"2026-11-14": 7, "2026-11-15": 1}),
        ("US/Pacific", DAYS, {"2026-11-13": 3, "2026-11-14": 5}),
    ):
        any_lab.project.timezone = zone
        found = compared(any_lab)
        assert found.agrees
        assert (found.zone, found.days) == (zone, days)
        counts = {str(one.day): one.loaded for one in found.comparisons if one.event == "Hourly"}
        assert counts == hourly


def test_why_there_is_nothing_to_compare(lab: Lab) -> None:
    """Each reason is told, and nothing metered is asked."""
    with pytest.raises(ConfigError, match="sync first"):
        compared(lab)
    lab.sync("export")
    for given, message in (
        ({"tolerance": "much"}, "tolerance is 'much'; it must be a number from 0 to 1"),
        ({"tolerance": 1.5}, "tolerance is 1.5"),
        ({"days": "2026-11-13"}, "range is '2026-11-13'"),
        (
            {"days": "2020-01-01,2020-01-31"},
            "No day of 2020-01-01..2020-01-31 is completely loaded",
        ),
        ({"where": 'properties["plan"] == "pro"'}, "where is set"),
        ({"project_id": 42}, "but the dataset holds project 1234567"),
    ):
        with pytest.raises(ConfigError, match=message):
            compared(lab, **given)
        assert asked(lab) in ([], ["me"])


@pytest.mark.parametrize("fault", ["403", "html", "500"])
def test_account_that_cannot_be_read(
    lab: Lab, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """The endpoint is undocumented: without it days are compared in UTC, with a warning."""
    lab.sync("export")
    lab.sandbox.inject(Fault(fault, table="projects", times=0))
    found = compared(lab)
    assert found.agrees
    assert (found.days, found.zone) == (DAYS, "UTC")
    assert "The account's projects cannot be read, which a sync does not need." in caplog.text
    assert "Days are compared in UTC." in caplog.text


def test_command(configured_lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 0 if all agrees, else with 1 and a line for each difference."""
    configured_lab.sync("export")
    days = ["reconcile", "--range", "2026-11-13,2026-11-15"]
    assert cli.main(days) == cli.DONE
    assert capsys.readouterr().out.splitlines() == [
        "2026-11-13..2026-11-15, 3 days (UTC): 9 events loaded, 9 counted by Mixpanel",
        "of 6 counts 0 differ, 0 by more than 1.0%; 3 requests",
    ]
    add_event(configured_lab.project, ANCHOR, 7)
    assert cli.main(days) == cli.FAILED
    lines = capsys.readouterr().out.splitlines()
    difference = "2 loaded, 3 counted, difference -1, beyond the tolerance"
    assert lines[0] == f"2026-11-13 Order: {difference}"
    assert cli.main([*days, "--tolerance", "0.5", "--json"]) == cli.DONE
    told = json.loads(capsys.readouterr().out)
    assert told["agrees"] is True
    assert told["events"][0] == {
        "date": "2026-11-13",
        "event": "Order",
        "loaded": 2,
        "counted": 3,
        "difference": -1,
        "within": True,
    }
    assert cli.main([*days, "--tolerance", "x"]) == cli.WRONG_USAGE


def test_what_is_asked(lab: Lab) -> None:
    """Of configured events no names, for long names more than once, of old projects no zone."""
    for number in range(70):
        lab.project.add_event(
            f"{number} {'long name ' * 20}", {"time": 1_794_614_400, "distinct_id": "u"}
        )
    lab.sync("export")
    found = compared(lab)
    assert found.agrees
    assert len(found.comparisons) == 70 + 2 * len(DAYS)
    assert asked(lab) == ["me", "names", "events", "events", "events"]

    lab.sandbox.inject(Fault("html", table="event_counts"))
    found = compared(lab, days=f"2026-01-01,{YESTERDAY}", events="Order")
    assert len(found.days) == 8
    assert {one.event for one in found.comparisons} == {"Order"}
    assert asked(lab) == ["me", "events", "events"]

    found = compared(lab, project_timezone="US/Pacific", events="Order")
    assert found.zone == "US/Pacific"
    assert asked(lab) == ["events"]


def test_plan_and_quota(lab: Lab) -> None:
    """On a free plan there are no counts; where the quota is used up it stops, as a sync does."""
    lab.sync("export", window_days=31)
    with pytest.raises(PausedError, match="run again then"):
        compared(lab, requests_per_hour=1, max_wait_s=0)
    lab.project.plan = "free"
    with pytest.raises(PlanError, match="does not include this API; upgrade the plan"):
        compared(lab)
