"""The table of endpoints, held against what they answer and what is loaded of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from mixpanel_sandbox import Project, made_up_project
from mixpanel_source.catalog.endpoints import ENDPOINTS
from mixpanel_source.catalog.tables import TABLE_NAMES
from tests.integration.sandbox.projects import small_project
from tests.integration.test_reports import EVERYTHING, saved_project
from tests.support.lab import open_lab
from tests.support.projects import YESTERDAY
from tests.support.sandbox_calls import send

REPORTS = [one for one in EVERYTHING if one["table"] != "funnels"]
"""All but a funnel: without one, the saved funnels are listed and loaded."""


def full_project() -> Project:
    """A project that has two of everything that a table can have two of."""
    shop, saved = made_up_project(last_day=YESTERDAY, days=1), saved_project()
    (job,) = shop.pipelines
    ((_, runs),) = shop.pipeline_runs.items()
    return replace(
        shop,
        events=saved.events,
        funnels=saved.funnels,
        bookmarks=saved.bookmarks,
        jql=saved.jql,
        pipelines=[{**job, "name": "hourly"}, {**job, "name": "daily"}],
        pipeline_runs={"hourly": runs, "daily": runs},
    )


def count_repeated(rows: list[dict[str, Any]], key: tuple[str, ...]) -> int:
    """How many rows have the key of another; there must be rows, with these columns."""
    assert rows
    return len(rows) - len({tuple(row[column] for column in key) for row in rows})


@pytest.mark.slow
def test_keys_tell_rows_apart() -> None:
    """No two rows of a table agree in the key of its endpoint; what has no table has no key."""
    with open_lab(full_project()) as lab:
        lab.overrides = {"reports": REPORTS, "data_group_ids": ",".join(lab.project.groups)}
        for _ in range(2):
            lab.pipeline.run(lab.source(*TABLE_NAMES), loader_file_format="parquet")
            lab.clock.advance(days=1)
        loaded = {one.name for one in ENDPOINTS} & lab.pipeline.default_schema.tables.keys()
        assert {one.name for one in ENDPOINTS if one.key} == loaded
        repeated = {
            one.name: count_repeated(lab.rows(one.name), one.key) for one in ENDPOINTS if one.key
        }
        assert repeated == dict.fromkeys(loaded, 0)


def test_paid_are_those_that_a_free_plan_has_not() -> None:
    """The sandbox refuses them with 402, and none of the others."""
    project = small_project()
    project.plan = "free"
    with open_lab(project) as lab:
        for one in ENDPOINTS:
            known = {"project_id": str(project.project_id), "entity_type": "event"}
            path = one.path.format_map(defaultdict(lambda: "1", known))
            refused = send(lab.sandbox, path, method=one.method).status == 402
            assert refused == one.paid, one.name
