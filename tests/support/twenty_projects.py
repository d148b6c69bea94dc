"""Loads twenty projects with one command, and each with a command of its own, and compares.

    python -m tests.support.twenty_projects

One project has a wrong secret and fails alone. Prints the seconds of both ways.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from mixpanel_sandbox import Project, Sandbox
from mixpanel_source import cli
from tests.support.projects import make_recent_project
from tests.support.settings import UNLIMITED, as_environment, settings_for

NUMBER = 20
DAYS = 3
WRONG = "p07"


def main() -> int:
    """Run both and print what they took."""
    served = [make_recent_project(DAYS) for _ in range(NUMBER)]
    for number, project in enumerate(served, 1):
        project.project_id = 1000 + number
    with (
        Sandbox(served[0], others=served[1:], **UNLIMITED) as sandbox,
        tempfile.TemporaryDirectory() as directory,
    ):
        together = _run_together(sandbox, Path(directory))
        between = _cpu_seconds()
        apart = _run_apart(sandbox, served, Path(directory))
    print(  # noqa: T201 - a person runs it
        f"{NUMBER} projects in one command: {together:.1f} s, of which {between:.1f} s of a core; "
        f"in {NUMBER} commands: {apart:.1f} s, {_cpu_seconds() - between:.1f} s of a core"
    )
    return 0


def _cpu_seconds() -> float:
    """Processor time of the commands so far, whatever else the machine does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run_together(sandbox: Sandbox, directory: Path) -> float:
    shared = settings_for(sandbox)
    del shared["project_id"]
    names = {f"p{number:02}": 1000 + number for number in range(1, NUMBER + 1)}
    projects = {f"projects__{name}__project_id": number for name, number in names.items()}
    wrong = {f"projects__{WRONG}__secret": "wrong"}
    place = directory / "together"
    began = time.monotonic()
    code, out = _run(
        place,
        as_environment({**shared, **projects, **wrong}),
        "sync",
        "--projects",
        "all",
        "--json",
    )
    took = time.monotonic() - began
    result: dict[str, Any] = json.loads(out)
    failed = {name for name in result if result[name]["exit_code"]}
    assert (code, failed) == (cli.WRONG_USAGE, {WRONG}), (code, failed)
    with duckdb.connect(str(place / "mixpanel.duckdb"), read_only=True) as connection:
        for name in names.keys() - {WRONG}:
            query = f"SELECT count(*) FROM mixpanel_{name}.export"
            assert connection.execute(query).fetchone() == (3 * DAYS,), name
    # one request for each day and one for the profiles, counted for each project
    logs = [*place.rglob("requests-*.json")]
    assert len(logs) == NUMBER, logs
    assert {result[name]["requests"] for name in names.keys() - {WRONG}} == {DAYS + 1}
    return took


def _run_apart(sandbox: Sandbox, served: list[Project], directory: Path) -> float:
    began = time.monotonic()
    for project in served:
        settings = {**settings_for(sandbox), "project_id": project.project_id}
        name = f"mixpanel_{project.project_id}"
        arguments = ("--dataset", name, "--pipeline", name)
        database = {"DESTINATION__DUCKDB__CREDENTIALS": "apart.duckdb"}
        code, out = _run(
            directory / "apart", {**as_environment(settings), **database}, "sync", *arguments
        )
        assert code == cli.DONE, out
    return time.monotonic() - began


def _run(directory: Path, settings: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    directory.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "mixpanel_source.cli", *arguments, "--progress", "off"],
        cwd=directory,
        env={
            **kept,
            **settings,
            "HOME": str(directory),
            "DLT_DATA_DIR": str(directory / "dlt"),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(main())
