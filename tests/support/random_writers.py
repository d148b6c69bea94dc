"""Runs jobs of several machines and pipelines into one dataset at once, round after round.

In each round four jobs start at random offsets: a sync and backfills, from two data directories,
under two names of pipelines. Each must load exactly or be refused: whatever the others do, the
dataset holds every event once, with its values unchanged. `make torture` runs it; see
`python -m tests.support.random_writers --help`.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import dlt

from mixpanel_sandbox import Project, Sandbox
from tests.support.fidelity import assert_kept
from tests.support.projects import add_event, make_recent_project
from tests.support.random_kills import open_database
from tests.support.settings import UNLIMITED, as_environment, settings_for

logger = logging.getLogger(__name__)

DAYS = 8
MAX_OFFSET_S = 1.5
"""Maximum time between the starts of the first and the last job of a round."""
LOADED, REFUSED, LATER = 0, 2, 75
"""Exit codes that a job may end with."""
MACHINES = ("a", "b")
PIPELINES = ("mixpanel", "second")


class Job(NamedTuple):
    """A command, and where it runs."""

    machine: str
    pipeline: str
    arguments: tuple[str, ...]
    offset_s: float


@dataclass
class Outcome:
    """How the jobs of all rounds ended."""

    rounds: int = 0
    exit_codes: Counter[int] = field(default_factory=Counter)


def write_at_random(
    directory: Path, destination: str, url: str, *, rounds: int, seed: int
) -> Outcome:
    """Run several jobs at once into a dataset of its own per round, and compare what is loaded.

    Args:
        directory: Working directory.
        destination: `duckdb` or `postgres`.
        url: URL of the database; for DuckDB the file of a round is in `directory`.
        rounds: Number of rounds.
        seed: Seed of the jobs and their offsets.
    """
    rng = random.Random(seed)  # noqa: S311 - offsets, not secrets
    outcome = Outcome()
    for number in range(rounds):
        project = make_drifting_project()
        credentials = url or str(directory / f"events_{number}.duckdb")
        with Sandbox(project, **UNLIMITED) as sandbox:
            start = _Starter(directory / str(number), sandbox, destination, credentials, number)
            codes = start.run(make_jobs(rng, project))
            # a last sync brings what a job that was refused or came too early left out
            codes += start.run([Job("a", start.owner(), ("sync",), 0)])
        assert codes[-1] == LOADED
        outcome.exit_codes.update(codes)
        outcome.rounds += 1
        assert_kept(project, start.reader())
        logger.info("round %d: exit codes %s", number + 1, codes)
    return outcome


def make_drifting_project() -> Project:
    """A few days in which the type of a property changes from day to day."""
    project = make_recent_project(DAYS)
    for number, day in enumerate(sorted(project.events)):
        values = (number, str(number), number / 2, [number], {"n": number})
        add_event(project, day, 90, price=values[number % len(values)])
    return project


def make_jobs(rng: random.Random, project: Project) -> list[Job]:
    """Four jobs: of the first pipeline on both machines, and now and then of another one."""
    days = sorted(project.events)
    commands: list[tuple[str, ...]] = [("sync",)]
    for _ in range(3):
        first, last = sorted(rng.sample(days, 2))
        commands.append(("backfill", "--range", f"{first},{last}"))
    rng.shuffle(commands)
    return [
        Job(
            MACHINES[number % 2],
            PIPELINES[rng.random() < 0.25],
            command,
            rng.uniform(0, MAX_OFFSET_S),
        )
        for number, command in enumerate(commands)
    ]


class _Starter:
    def __init__(
        self, directory: Path, sandbox: Sandbox, destination: str, credentials: str, number: int
    ) -> None:
        self._directory = directory
        self._sandbox = sandbox
        self._destination = destination
        self._credentials = credentials
        self._dataset = f"round_{number}"

    def run(self, jobs: list[Job]) -> list[int]:
        """Start the jobs at their offsets; returns their exit codes in the same order."""
        began = time.monotonic()
        running: dict[int, subprocess.Popen[str]] = {}
        for index in sorted(range(len(jobs)), key=lambda index: jobs[index].offset_s):
            time.sleep(max(0.0, began + jobs[index].offset_s - time.monotonic()))
            running[index] = self._start(jobs[index])
        errors = {index: process.communicate()[1] for index, process in running.items()}
        for index, process in running.items():
            assert process.returncode in (LOADED, REFUSED, LATER), errors[index]
            assert "Traceback" not in errors[index], errors[index]
        return [running[index].returncode for index in range(len(jobs))]

    def owner(self) -> str:
        """The pipeline that the dataset belongs to."""
        with self.reader().sql_client() as client:
            rows = client.execute_sql("SELECT pipeline FROM _mixpanel_dataset") or ()
            return str(next(iter(rows))[0])

    def reader(self) -> dlt.Pipeline:
        """A pipeline that reads what was loaded."""
        factory = getattr(dlt.destinations, self._destination)
        return dlt.pipeline(
            "reader",
            destination=factory(self._credentials),
            dataset_name=self._dataset,
            pipelines_dir=str(self._directory / "reader"),
        )

    def _start(self, job: Job) -> subprocess.Popen[str]:
        machine = self._directory / job.machine
        machine.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(machine),
            "DLT_DATA_DIR": str(machine / "data"),
            "DLT_PROJECT_DIR": str(machine),
            f"DESTINATION__{self._destination.upper()}__CREDENTIALS": self._credentials,
            **as_environment(settings_for(self._sandbox)),
        }
        options = ("--destination", self._destination, "--dataset", self._dataset)
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "mixpanel_source.cli", *job.arguments, *options),
                *("--pipeline", job.pipeline, "--max-wait", "120"),
            ],
            cwd=machine,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", choices=["duckdb", "postgres"])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, open_database(options.destination) as url:
        outcome = write_at_random(
            Path(directory), options.destination, url, rounds=options.rounds, seed=options.seed
        )
    codes = ", ".join(f"{number} jobs with {code}" for code, number in outcome.exit_codes.items())
    sys.stdout.write(
        f"{options.destination}: {outcome.rounds} rounds in {time.monotonic() - began:.0f} s, "
        f"every event loaded once; exit codes: {codes}.\n"
    )


if __name__ == "__main__":
    main()
