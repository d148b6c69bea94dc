"""Airflow runs the DAG for real, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest

from mixpanel_sandbox import Sandbox
from mixpanel_source.destinations.file_lock import lock_file
from tests.support.orchestrators import (
    ROOT,
    environment_of,
    events_by_day,
    run,
    run_concurrently,
)
from tests.support.projects import ALL_DAYS, EVENTS_PER_DAY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EXACT = dict.fromkeys(ALL_DAYS, (EVENTS_PER_DAY, EVENTS_PER_DAY))
DAG_FILE = f"""
from datetime import datetime, timezone
from mixpanel_source.airflow import build_dag

start = datetime.fromisoformat("{ALL_DAYS[0]}").replace(tzinfo=timezone.utc)
events = build_dag("events", ["export"], start_date=start, max_wait_s=300)
impatient = build_dag("impatient", ["export"], start_date=start, max_wait_s=0, retry_after_s=1)
profiles = build_dag("profiles", ["engage"], start_date=start)
wrong = build_dag("wrong", ["engage"], start_date=start, region="mars")
"""


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program, with a database of its own and a folder with the DAGs."""
    programs = environment_of("airflow")
    home = tmp_path / "airflow"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "loads.py").write_text(DAG_FILE)
    monkeypatch.setenv("AIRFLOW_HOME", str(home))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "false")
    monkeypatch.setenv("AIRFLOW__CORE__UNIT_TEST_MODE", "false")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    migrated = run([programs / "airflow", "db", "migrate"])
    assert migrated.returncode == 0, migrated.stderr
    return programs / "airflow"


def run_of(airflow: Path, dag: str, day: str, **conf: str) -> list[str | Path]:
    """The command that runs a DAG for the data interval that begins on a day."""
    end = date.fromisoformat(day) + timedelta(days=1)
    command: list[str | Path] = [airflow, "dags", "test", dag, f"{end}T03:15:00+00:00"]
    return [*command, "--conf", json.dumps(conf)] if conf else command


def test_range_in_one_run(airflow: Path, sandbox: Sandbox) -> None:
    """Parameters of a run name a range, which takes one request a day."""
    done = run(run_of(airflow, "events", ALL_DAYS[0], first=ALL_DAYS[0], last=ALL_DAYS[-1]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert events_by_day(airflow.parent) == EXACT
    assert len(sandbox.requests) == len(ALL_DAYS)


@pytest.mark.usefixtures("sandbox")
def test_days_at_once(airflow: Path) -> None:
    """Eight runs, three at a time, wait for each other and load every event once."""
    failed = run_concurrently([run_of(airflow, "events", day) for day in ALL_DAYS])
    assert failed == [], "\n".join(failed)
    assert events_by_day(airflow.parent) == EXACT


@pytest.mark.usefixtures("sandbox")
def test_result_and_failures(airflow: Path) -> None:
    """Rows and freshness are the result; wrong settings fail at once, with the valid values."""
    done = run(run_of(airflow, "profiles", ALL_DAYS[0]))
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = run(run_of(airflow, "wrong", ALL_DAYS[0]))
    assert "us, eu, in" in wrong.stdout + wrong.stderr
    assert wrong.returncode != 0


@pytest.mark.usefixtures("sandbox")
def test_busy_task_is_rescheduled(airflow: Path) -> None:
    """While another job has the dataset, the task is put off; then it loads the day."""
    lock = lock_file(Path(".mixpanel.duckdb.lock").absolute(), subject="The test", remedy="")
    with subprocess.Popen(
        [*map(str, run_of(airflow, "impatient", ALL_DAYS[0]))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "UP_FOR_RESCHEDULE" in line:
                lock.release()
    assert process.returncode == 0
    assert events_by_day(airflow.parent) == {ALL_DAYS[0]: EXACT[ALL_DAYS[0]]}
