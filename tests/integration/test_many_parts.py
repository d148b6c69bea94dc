"""Many reports and cohorts under a quota that is not enough for all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mixpanel_source.commands.plan import Plan
from mixpanel_source.commands.plan import plan as make_plan
from mixpanel_source.errors import PausedError, RequestError
from mixpanel_source.tables.package import TablePart
from tests.support.lab import Lab, open_lab
from tests.support.projects import make_project

HOUR_S = 3_600
TABLES = ("reports", "cohort_members")
COUNTED = [
    {"name": f"r{number}", "table": "segmentation", "params": {"event": "Order"}, "days": 3}
    for number in range(20)
]
NAMES = [
    {"name": f"n{number}", "table": "event_names", "params": {"type": "general", "limit": number}}
    for number in range(1, 10)
]
BROKEN: dict[str, Any] = {"name": "gone", "table": "funnels", "params": {"funnel_id": 404}}
REPORTS = [*COUNTED, *NAMES, BROKEN]


@pytest.fixture
def busy() -> Iterator[Lab]:
    """Thirty reports, one of them broken, and twenty cohorts, at sixty requests an hour."""
    project = make_project()
    project.cohorts[:] = [
        {"id": number, "project_id": 1234567, "name": f"Cohort {number}"} for number in range(1, 21)
    ]
    project.cohort_members.update({number: [f"u{number % 5}"] for number in range(1, 21)})
    with open_lab(project, queries_per_hour=60) as lab:
        lab.overrides = {"reports": REPORTS, "requests_per_hour": 60}
        yield lab


def plan(lab: Lab) -> Plan:
    """What a sync would ask for now."""
    return make_plan(TABLES, clock=lab.clock, **lab.settings)


def loaded_parts(lab: Lab, table: str) -> set[str]:
    """The parts of a table that were ever loaded."""
    rows = lab.rows("_mixpanel_loads")
    return {row["part"] for row in rows if row["table_name"] == table}


@pytest.mark.slow
def test_plan_says_what_the_run_keeps_to(busy: Lab) -> None:
    """It costs what was said, Mixpanel never refuses for the quota, and one failure is one."""
    assert not plan(busy).tables[-1].is_exact
    report = busy.sync(*TABLES)
    assert list(report.failures) == [TablePart("funnels", "gone")]
    assert isinstance(report.failures[TablePart("funnels", "gone")], RequestError)
    assert loaded_parts(busy, "segmentation") == {one["name"] for one in COUNTED}
    assert loaded_parts(busy, "event_names") == {one["name"] for one in NAMES}
    assert loaded_parts(busy, "cohort_members") == {str(number) for number in range(1, 21)}
    busy.clock.advance(seconds=HOUR_S)
    planned = plan(busy)
    assert (planned.requests, planned.tables[-1].requests) == (51, 21)
    again = busy.sync(*TABLES)
    assert again.requests == planned.requests
    assert 429 not in {record.status for record in busy.sandbox.requests}


@pytest.mark.slow
def test_hour_that_is_used_up_is_waited_for(busy: Lab) -> None:
    """Two runs within the hour are more than it allows: what was read is loaded, then it waits."""
    busy.sync(*TABLES)
    began_at = busy.clock.now
    assert plan(busy).min_s > HOUR_S * 0.9
    report = busy.sync(*TABLES)
    assert list(report.failures) == [TablePart("funnels", "gone")]
    assert HOUR_S * 0.9 < busy.clock.now - began_at < HOUR_S * 1.1
    assert 429 not in {record.status for record in busy.sandbox.requests}


def test_each_part_has_its_turn_though_no_run_reaches_all(busy: Lab) -> None:
    """Runs that stop where the quota is used up load in turn what was loaded longest ago."""
    busy.overrides["requests_per_hour"] = 8
    for _ in range(3):
        report = busy.sync("segmentation", max_wait_s=0)
        assert isinstance(report.failures[TablePart("segmentation")], PausedError)
        busy.clock.advance(seconds=HOUR_S)
    assert loaded_parts(busy, "segmentation") == {one["name"] for one in COUNTED}
