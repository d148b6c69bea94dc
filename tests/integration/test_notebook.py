"""The notebook runs from its first cell to its last, and its charts hold what was loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mixpanel_sandbox import Project, made_up_project
from mixpanel_source import open_pipeline
from tests.support.clock import noon
from tests.support.lab import Lab, load, open_lab
from tests.support.projects import YESTERDAY, add_event, make_project

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


CASES = """
import json, os
from pipelines.local_analysis import app

def text(value):
    return str(getattr(value, "text", value))

found = {}
for case, variables in json.loads(os.environ["CASES"]).items():
    for name in ("MIXPANEL_DUCKDB", "MIXPANEL_DESTINATION"):
        os.environ.pop(name, None)
    os.environ.update(variables)
    outputs, names = app.run()
    found[case] = [" ".join(map(text, outputs)), names.get("over_time")]
print(json.dumps(found))
"""


def load_file(name: str, project: Project, **settings: Any) -> None:
    """Load a project into a DuckDB file."""
    os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = f"{name}.duckdb"
    try:
        with open_lab(project, open_pipeline(name=name)) as lab:
            assert lab.sync(**settings).failures == {}
    finally:
        del os.environ["DESTINATION__DUCKDB__CREDENTIALS"]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.usefixtures("postgres")
def test_notebook_takes_any_data() -> None:
    """No cell fails on an empty database, on a single event, or on data of other shapes."""
    one, named = Project(), make_project(YESTERDAY, YESTERDAY)
    add_event(one, YESTERDAY, 0, distinct_id="")
    for name in ("", 'it\'s "a" <b>{x}</b> `q`, $1', "SELECT"):
        time = int(noon(YESTERDAY))
        named.add_event(name, {"time": time, "distinct_id": "u0", "$insert_id": name})
    with duckdb.connect("empty.duckdb"):
        pass
    Path("broken.duckdb").write_bytes(b"no database" * 1000)
    load_file("no_events", Project())
    load_file("one_event", one)
    load_file("names", named)
    load_file("as_json", make_project(), properties="json")
    load(make_project(), open_pipeline("postgres"))
    cases = {path.stem: {"MIXPANEL_DUCKDB": str(path)} for path in Path().glob("*.duckdb")}
    cases |= {"missing": {"MIXPANEL_DUCKDB": "missing.duckdb"}}
    cases |= {"postgres": {"MIXPANEL_DESTINATION": "postgres"}}
    done = run("-c", CASES, CASES=json.dumps(cases))
    assert done.returncode == 0, done.stderr
    outputs: dict[str, tuple[str, list[dict[str, Any]] | None]] = json.loads(done.stdout)
    assert set(outputs) == {*cases}
    for name in ("empty", "no_events"):
        assert "No events in" in outputs[name][0]
    assert "cannot be read" in outputs["broken"][0]
    assert "mixpanel-source sync" in outputs["missing"][0]
    counted = {
        name: sum(row["events"] for row in rows) for name, (_, rows) in outputs.items() if rows
    }
    assert counted == {"one_event": 1, "names": 6, "as_json": 24, "postgres": 24}


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


CONTROLS = """
import json
from datetime import date
from types import SimpleNamespace as Control
from pipelines.local_analysis import app

first, last, after = date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21)
by_week = {"days": Control(value=(first, last)), "unit": Control(value="week")}
nothing = {"days": Control(value=(after, after)), "unit": Control(value="month")}
steps = {"steps": Control(value=["Sign up", None, "Order", "Order"]), "within": Control(value=1)}
found = {
    "by_week": app.run(defs=by_week)[1]["top_events"],
    "nothing": app.run(defs=nothing)[1]["active"],
    "funnel": app.run(defs=steps)[1]["funnel"],
}
for name, query in {
    "commented": "SELECT count(*) AS n FROM export -- all of them",
    "types": "SELECT 1.5::decimal(4, 1) AS d, [1] AS l, 'x'::blob AS b, INTERVAL 1 DAY AS i",
    "mistake": "SELEC",
    "empty": "",
    "file": "SELECT * FROM read_text('/etc/passwd')",
}.items():
    found[name] = len(app.run(defs={"query": Control(value=query)})[1]["result"])
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_notebook_follows_its_controls(lab: Lab) -> None:
    """Days, unit, steps and query decide what is shown; a query reads nothing but the tables."""
    lab.sync()
    done = run("-c", CONTROLS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(row["event"], row["events"]) for row in found["by_week"]] == [
        ("Order", 4),
        ("Sign up", 2),
    ]
    assert found["nothing"] == []
    assert [row["name"] for row in found["funnel"]] == ["1  Sign up", "2  Order"]
    results = {name: found[name] for name in ("commented", "types", "mistake", "empty", "file")}
    assert results == {"commented": 1, "types": 1, "mistake": 0, "empty": 0, "file": 0}


def test_notebook_says_how_to_get_a_file() -> None:
    """Without a file it shows what to do, and makes none."""
    show = "from pipelines.local_analysis import app; outputs, _ = app.run(); "
    done = run("-c", show + "print([one.text for one in outputs if one is not None])")
    assert "mixpanel-source sync" in done.stdout, done.stderr
    assert not Path("mixpanel.duckdb").exists()
