"""Runs code in the environments of orchestrators, which have packages of their own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONCURRENCY = 3
COUNT_EVENTS = """
import duckdb, json
rows = duckdb.connect("mixpanel.duckdb", read_only=True).execute(
    "SELECT CAST(event_date AS text), count(*), count(DISTINCT event_key) "
    "FROM mixpanel.export GROUP BY 1 ORDER BY 1"
).fetchall()
print(json.dumps(rows))
"""


def environment_of(orchestrator: str) -> Path:
    """The folder of the programs of an orchestrator; the test is skipped where there is none.

    `make test-all` creates it; the variable PYTEST_DAGSTER_VENV, or ..._AIRFLOW_..., names another.
    """
    default = ROOT / f".venv-{orchestrator}"
    programs = Path(os.environ.get(f"PYTEST_{orchestrator.upper()}_VENV", default)) / "bin"
    if not (programs / orchestrator).exists():
        pytest.skip(f"{programs} has no {orchestrator}: run make test-all")
    return programs


def run(command: Sequence[str | Path], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program of such an environment; the caller looks at how it ended."""
    return subprocess.run(
        [*map(str, command)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def run_concurrently(commands: Sequence[Sequence[str | Path]], **variables: str) -> list[str]:
    """Run programs, `CONCURRENCY` at a time, and return what those that failed printed."""
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        done = pool.map(lambda command: run(command, **variables), commands)
        return [one.stdout + one.stderr for one in done if one.returncode]


def events_by_day(programs: Path) -> Mapping[str, tuple[int, int]]:
    """Day -> rows of `export` and different events, read with the DuckDB that wrote them."""
    done = run([programs / "python", "-c", COUNT_EVENTS])
    assert done.returncode == 0, done.stderr
    return {day: (rows, different) for day, rows, different in json.loads(done.stdout)}
