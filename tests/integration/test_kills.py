"""A sync that is killed and run again ends with the tables of one that was never killed.

`make torture` does the same with a hundred kills.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from mixpanel_source import open_pipeline
from mixpanel_source.windows import iter_days
from tests.integration.test_reports import ORDERS, saved_project
from tests.support.kill_points import KILL_POINTS, kill_syncs
from tests.support.lab import Lab, open_lab
from tests.support.projects import TODAY, YESTERDAY, add_event
from tests.support.random_kills import comparable, kill_at_random
from tests.support.tables import select_all

# most of the time goes into starting processes, which takes long on a busy machine
pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("kills", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_duckdb_survives_kills(tmp_path: Path, kills: int) -> None:
    """Killed at random instants, nothing is lost in DuckDB and nothing is there twice."""
    url = str(tmp_path / "killed.duckdb")
    done = kill_at_random(tmp_path, "duckdb", url, kills=kills, days=12, seed=3)
    assert done.kills.total() == kills


@pytest.mark.slow
def test_postgres_survives_kills(tmp_path: Path, postgres: str) -> None:
    """Killed at random instants, nothing is lost in PostgreSQL and nothing is there twice."""
    done = kill_at_random(tmp_path, "postgres", postgres, kills=4, days=12, seed=4)
    assert done.kills.total() == 4


@pytest.mark.slow
@pytest.mark.parametrize("before", [[], ["u0", "u1", "u2"]], ids=["first sync", "later sync"])
def test_history_survives_kills(lab: Lab, before: list[str]) -> None:
    """Killed at whatever moment, who stayed has one row, who left is closed, who came is open."""
    after = ["u1", "u3"]
    if before:
        lab.project.cohort_members[1] = before
        lab.sync("cohort_members")
    lab.project.cohort_members[1] = after
    kill_syncs(lab, "cohort_members", KILL_POINTS)
    assert lab.sync("cohort_members").failures == {}
    rows = lab.rows("cohort_members")
    stays = sorted((row["distinct_id"], row["_dlt_valid_to"] is None) for row in rows)
    assert stays == sorted((member, member in after) for member in {*before, *after})


@pytest.mark.parametrize("tables", [("segmentation",), ("funnels", "funnel_steps")], ids=" ".join)
@pytest.mark.slow
def test_reports_survive_kills(tables: tuple[str, ...]) -> None:
    """Killed at whatever moment, numbers of new days come, and what is replaced is there once."""
    table = tables[0]
    with open_lab(saved_project()) as lab:
        if table == "segmentation":
            lab.overrides = {"reports": orjson.dumps([ORDERS]).decode()}
        clean = open_pipeline(name="clean")
        for pipeline in (clean, lab.pipeline):
            assert lab.sync(table, pipeline=pipeline).failures == {}
        change(lab)
        assert lab.sync(table, pipeline=clean).failures == {}
        kill_syncs(lab, table, KILL_POINTS)
        assert lab.sync(table).failures == {}
        for name in tables:
            expected = Counter(map(comparable, select_all(clean, name)))
            assert expected == Counter(map(comparable, lab.rows(name))), name


def change(lab: Lab) -> None:
    """Let more days pass than are read again; events come and go, and so do funnels."""
    lab.clock.advance(days=5)
    for day in iter_days(TODAY, TODAY + timedelta(days=4)):
        add_event(lab.project, day, 4, plan="new")
    lines = lab.project.events[YESTERDAY]
    lab.project.events[YESTERDAY] = [line for line in lines if b'"pro"' not in line]
    lab.project.funnels[1:] = [{**lab.project.funnels[0], "funnel_id": 3, "name": "New"}]
