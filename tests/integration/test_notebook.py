"""The notebook runs from its first cell to its last, and its charts hold what was loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mixpanel_sandbox import made_up_project
from tests.support.lab import open_lab
from tests.support.projects import YESTERDAY

ROOT = Path(__file__).parents[2]
NAMES = ("over_time", "top_events", "active", "retention", "funnel", "profiles", "freshness")
RUN = (
    "import json; from pipelines.local_analysis import app; _, found = app.run(); "
    f"print(json.dumps({{name: found[name] for name in {NAMES}}}))"
)


def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with some variables more, where the notebook can be imported."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )


@pytest.mark.slow
def test_notebook_shows_what_was_loaded() -> None:
    """Every chart has its rows, and the funnel begins with the events it was told."""
    project = made_up_project(last_day=YESTERDAY, days=3)
    with open_lab(project) as lab:
        lab.sync(anchor_date=min(project.events))
        events = len(lab.rows("export"))
        profiles = len(lab.rows("engage"))
    done = run("-c", RUN, MIXPANEL_FUNNEL="Product Viewed,Added to Cart")
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    assert sum(row["events"] for row in found["over_time"]) == events
    assert sum(row["events"] for row in found["top_events"]) == events
    assert sum(row["events"] for row in found["freshness"]) == events
    assert sum(row["profiles"] for row in found["profiles"]) == profiles
    assert [row["name"] for row in found["funnel"]] == ["1  Product Viewed", "2  Added to Cart"]
    assert len(found["active"]) == 3
    assert [row["later"] for row in found["retention"]] == [0, 1, 2, 0, 1, 0]


def test_notebook_says_how_to_get_a_file() -> None:
    """Without a file it shows what to do, and makes none."""
    show = "from pipelines.local_analysis import app; outputs, _ = app.run(); "
    done = run("-c", show + "print([one.text for one in outputs if one is not None])")
    assert "mixpanel-source sync" in done.stdout, done.stderr
    assert not Path("mixpanel.duckdb").exists()
