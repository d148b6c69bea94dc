"""The sample project, counted: what `counts.json` says must arrive is what arrives."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mixpanel_sandbox import Project
from tests.integration.conftest import open_destination
from tests.integration.jobs import Lab, open_lab

# read when imported, for tests see no variable of the person who runs them
SAMPLE = Path(
    os.environ.get("MIXPANEL_SAMPLE_PROJECT")
    or Path(__file__).parents[3] / "shared" / "sample-project"
)
WEEK = [f"2026-11-0{day}" for day in range(1, 8)]

pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"no sample project at {SAMPLE}")


@pytest.fixture
def counts() -> Any:
    """How many rows of each kind must arrive."""
    return json.loads((SAMPLE / "counts.json").read_text())


@pytest.fixture(params=["duckdb", "postgres"])
def sample(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The sample project on 2026-11-21, to be loaded to each of the destinations."""
    pipeline = open_destination(request)
    with open_lab(Project.from_directory(SAMPLE), pipeline) as lab:
        lab.given = {"anchor_date": "2026-10-22"}
        yield lab


def test_counts_are_met_again_and_again(sample: Lab, counts: Any) -> None:
    """Every day, profile and cohort is there, once, after one sync as after two."""
    for _ in range(2):
        report = sample.sync("export", "engage", "cohorts")
        assert report.failures == {}
        assert sample.count_by_day() == counts["days"]
        assert len(sample.rows("engage")) == counts["profiles"]
        assert len(sample.rows("cohorts")) == counts["cohorts"]
    assert sum(counts["days"].values()) == counts["events"]


def test_days_are_whole(sample: Lab) -> None:
    """What is read back, property for property, is what was served."""
    sample.sync("export", "engage")
    sample.assert_events_kept(min(sample.project.events), max(sample.project.events))
    sample.assert_profiles_kept()


def test_backfill_of_a_week(sample: Lab, counts: Any) -> None:
    """Of an empty database a backfill fills the days asked for, and no other."""
    sample.backfill("2026-11-01,2026-11-07")
    assert sample.count_by_day() == {day: counts["days"][day] for day in WEEK}
