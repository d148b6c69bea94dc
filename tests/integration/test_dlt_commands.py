"""After each command of `dlt pipeline` a sync loads what is missing, and nothing twice."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dlt._workspace.cli import echo
from dlt._workspace.cli._pipeline_command import pipeline_command

from mixpanel_sandbox import Project, Sandbox
from mixpanel_source import open_pipeline
from tests.support.lab import Lab
from tests.support.projects import YESTERDAY, make_project

ROOT = Path(__file__).parents[2]
AUTHOR = ("-c", "user.name=x", "-c", "user.email=x@example.com")
FIRST, BEFORE = YESTERDAY.replace(day=12), "2026-11-12..2026-11-14"
TABLES = ("export", "engage", "cohorts")
LOADED = {"export": 27, "engage": 5, "cohorts": 1}


@pytest.fixture
def project() -> Project:
    """Nine days: three more than the look-back of five and the day before it."""
    return make_project(FIRST, YESTERDAY)


def run(lab: Lab, command: str, **options: Any) -> None:
    """Run a command of dlt on the pipeline of a lab, and open the pipeline anew."""
    drop = {"resources": (), "drop_all": False, "state_paths": (), "state_only": False}
    pipeline = lab.pipeline
    with echo.always_choose(always_choose_default=False, always_choose_value=True):
        pipeline_command(
            command,
            pipeline.pipeline_name,
            pipeline.pipelines_dir,
            0,
            **{**drop, "schema_name": None, **options},
        )
    lab.pipeline = open_pipeline()


@pytest.mark.slow
def test_dropped_table_is_loaded_again(lab: Lab) -> None:
    """Also if it is the one that dlt drops `_mixpanel_columns` with, in which other tables are."""
    lab.overrides = {"window_days": 3, "anchor_date": FIRST}
    lab.sync(*TABLES)
    run(lab, "drop", resources=("engage",))
    assert not {*lab.pipeline.schemas["mixpanel"].tables} & {"engage", "_mixpanel_columns"}
    assert lab.sync("engage").rows == {"engage": 5}
    assert not lab.sync("export").failures
    lab.assert_events_kept(FIRST)
    lab.assert_profiles_kept()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "options", "reads_all"),
    [
        ("info", {}, False),
        ("trace", {}, False),
        ("sync", {}, False),
        ("abort-packages", {}, False),
        ("drop", {"resources": ("export",)}, True),
        ("drop", {"resources": ("cohorts",)}, False),
        ("drop", {"drop_all": True}, True),
        ("drop", {"resources": ("export",), "state_only": True}, True),
        ("drop", {"drop_all": True, "state_only": True}, True),
    ],
    ids=lambda value: str(value) if value else "",
)
def test_sync_after_a_command(
    lab: Lab, command: str, options: dict[str, Any], *, reads_all: bool
) -> None:
    """All rows are there again; days outside the look-back are read only if dlt removed them."""
    lab.overrides = {"window_days": 3, "anchor_date": FIRST}
    lab.sync(*TABLES)
    run(lab, command, **options)
    assert not lab.sync(*TABLES).failures
    assert (lab.exported[0] == BEFORE) == reads_all
    lab.assert_events_kept(FIRST)
    lab.assert_profiles_kept()
    assert {table: len(lab.rows(table)) for table in LOADED} == LOADED


@pytest.mark.slow
def test_init_makes_a_pipeline_that_runs(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dlt init` from this repository, then the script that it wrote."""
    repository = str(tmp_path / "repository")
    init = ["init", "mixpanel", "duckdb", "--location", repository]
    commands = [
        ["git", "init", "--quiet", repository],
        ["cp", "-r", str(ROOT / "sources"), repository],
        ["git", "-C", repository, "add", "."],
        ["git", "-C", repository, *AUTHOR, "commit", "--quiet", "--message", "sources"],
        [sys.executable, "-m", "dlt._workspace.cli._dlt", "--non-interactive", *init],
    ]
    for command in commands:
        subprocess.run(command, check=True)
    needed = (tmp_path / "requirements.txt").read_text().splitlines()
    assert needed[0].startswith("dlt[duckdb]")
    assert needed[1].startswith("mixpanel-source")
    monkeypatch.setenv("SOURCES__MIXPANEL__WINDOW_DAYS", "31")
    subprocess.run([sys.executable, "mixpanel_pipeline.py"], check=True)
    assert sandbox.requests
    with duckdb.connect("mixpanel.duckdb", read_only=True) as connection:
        rows = connection.sql("SELECT count(*) FROM mixpanel_data.export").fetchall()
    assert rows == [(LOADED["export"],)]


def test_template_fits_the_package() -> None:
    """The template needs the versions of dlt and of the package that the package declares."""
    project = (ROOT / "pyproject.toml").read_text()
    (dlt_range,) = re.findall(r'"dlt\[duckdb,parquet\]([^"]+)"', project)
    needed = (ROOT / "sources/mixpanel/requirements.txt").read_text().splitlines()
    assert needed[0] == f"dlt{dlt_range}"
    assert (ROOT / "sources/mixpanel/__init__.py").read_text().startswith('"""')
