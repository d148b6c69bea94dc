"""The scripts in pipelines/ do what they say, against the sandbox."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

from mixpanel_sandbox import Fault, Project, Sandbox
from mixpanel_source import cli
from pipelines import backfill, mixpanel_pipeline, scheduled_sync
from tests.support.projects import make_recent_project

PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.fixture
def project() -> Project:
    """Three days of events, up to yesterday."""
    return make_recent_project(3)


def count(table: str) -> int:
    """Rows of a table or view."""
    with duckdb.connect("mixpanel.duckdb", read_only=True) as connection:
        rows: int = connection.execute(f"SELECT count(*) FROM mixpanel.{table}").fetchall()[0][0]
    return rows


@pytest.mark.usefixtures("sandbox")
def test_scheduled_sync_runs_as_a_program() -> None:
    """Run as a file from another directory it loads the tables and makes the views."""
    done = subprocess.run(
        [sys.executable, "-W", "error", PIPELINES / "scheduled_sync.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (cli.DONE, "{'export': 9, 'engage': 5}\n"), done.stderr
    assert (count("export"), count("engage"), count("sessions")) == (9, 5, 6)


def test_scheduled_sync_tells_how_it_ended(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table that fails does not stop the other, and what is wrong is told by line and code."""
    sandbox.inject(Fault("500", table="engage", times=6))
    assert scheduled_sync.main() == cli.FAILED
    assert capsys.readouterr().err.startswith("error: engage: ")
    assert count("events_by_day") == 6
    monkeypatch.setenv("SOURCES__MIXPANEL__REGION", "mars")
    assert scheduled_sync.main() == cli.WRONG_USAGE
    assert "us, eu, in" in capsys.readouterr().err


def test_backfill_loads_the_days_asked_for(
    sandbox: Sandbox, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only those days come, in few requests; days that are none are told."""
    first, second, _ = sorted(project.events)
    assert backfill.main([str(first), str(second)]) == cli.DONE
    assert capsys.readouterr().out == "{'export': 6}\n"
    assert len(sandbox.requests) <= 2
    assert backfill.main([str(first)]) == cli.WRONG_USAGE
    assert "first,last" in capsys.readouterr().err


@pytest.mark.usefixtures("sandbox")
def test_examples_load(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    """The functions of the example script load what their names say."""
    mixpanel_pipeline.load_new()
    mixpanel_pipeline.load_range(f"{min(project.events)},{min(project.events)}")
    assert capsys.readouterr().out.splitlines() == ["{'export': 9, 'engage': 5}", "{'export': 3}"]


def test_schedules_in_the_docstring_are_sound() -> None:
    """The workflow parses and names what exists; the cron line has five times and the script."""
    text = scheduled_sync.__doc__ or ""
    workflow = yaml.safe_load(re.sub("(?m)^    ", "", text[text.index("    on:\n") :]))
    steps = workflow["jobs"]["sync"]["steps"]
    assert steps[-1]["run"] == "python pipelines/scheduled_sync.py"
    assert steps[-1]["env"]["MIXPANEL_DESTINATION"] == "postgres"
    (cron,) = re.findall(r"(?m)^    ([\d* ]+ cd .*)$", text)
    assert shlex.split(cron)[:5] == workflow[True]["schedule"][0]["cron"].split()
