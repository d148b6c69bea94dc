"""The page of the tables: its costs are what a sync and the plan cost, and its queries run."""

from __future__ import annotations

import re

import pytest

from mixpanel_sandbox import Project, made_up_project
from mixpanel_source.commands.plan import plan as make_plan
from mixpanel_source.commands.plan import quota_of
from mixpanel_source.errors import PlanError
from tests.docs.test_pages import PAGES, statements
from tests.support.lab import Lab, open_lab
from tests.support.projects import YESTERDAY

COSTS = re.findall(
    r"^\| `(\w+)` \| (yes|no) \| ([^|]*) \| [^|]* \|$", PAGES["tables.md"], re.MULTILINE
)


@pytest.fixture
def project() -> Project:
    """A day of the generated shop, which has rows for every table."""
    return made_up_project(last_day=YESTERDAY, days=1)


@pytest.fixture
def shop(any_lab: Lab) -> Lab:
    """The shop, to be loaded to each of the destinations."""
    groups = ",".join(any_lab.project.groups)
    any_lab.overrides = {"anchor_date": YESTERDAY, "data_group_ids": groups}
    return any_lab


@pytest.mark.slow
def test_sql_of_the_page_runs(shop: Lab) -> None:
    """Each query returns rows, once all tables are loaded."""
    tables = [table for table, *_ in COSTS]
    assert shop.sync(*tables).failures == {}
    with shop.pipeline.sql_client() as client:
        for statement in statements("tables.md"):
            assert client.execute_sql(statement), statement


@pytest.mark.slow
@pytest.mark.parametrize(("table", "paid", "cost"), COSTS, ids=[row[0] for row in COSTS])
def test_costs(table: str, paid: str, cost: str) -> None:
    """A sync and the plan cost what the page lists, and a free plan lacks the paid tables."""
    project = made_up_project(last_day=YESTERDAY, days=1)
    parts = {"cohort": len(project.cohorts), "group type": len(project.groups)}
    number = 0 if cost == "none" else 1
    for part, of_it in parts.items():
        number += of_it if cost.startswith("1, and") and cost.endswith(f"each {part}") else 0
    if cost == "1 for each group type":
        number = parts["group type"]
    with open_lab(project) as lab:
        lab.overrides = {
            "anchor_date": YESTERDAY,
            "data_group_ids": ",".join(project.groups),
            "requests_per_hour": 60,
        }
        used = 60 - lab.sync(table).requests_left[quota_of(table)]
        assert used == number
        assert make_plan([table], clock=lab.clock, **lab.settings).requests == number
        project.plan = "free"
        lab.clock.advance(days=1)
        failures = lab.sync(table).failures
        assert [type(error) for error in failures.values()] == [PlanError] * (paid == "yes")
