"""Kills a sync at random instants, again and again, and compares what it leaves with a clean run.

`python -m tests.integration.torture --help` tells how to run it by hand; `test_kills` runs it with
few kills.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import dlt

from mixpanel_sandbox import Fault, Sandbox, made_up_project
from mixpanel_source.windows import DAY, settled_on
from tests.integration.fidelity import select_all
from tests.integration.jobs import NOON, TODAY, UNLIMITED, YESTERDAY, as_environment, settings_for

logger = logging.getLogger(__name__)

NAME = "mixpanel"
LOOKBACK_DAYS = 5
SHARE_OF_A_RUN = 0.2
"""Longest time that a process is let live, in times of what a run takes that is not killed."""

CHILD = """
import sys, time

from mixpanel_source import Checkpoint, open_pipeline, sync

class Clock:
    sleep = staticmethod(time.sleep)
    def time(self):
        return time.time() - float(sys.argv[3])

pipeline = open_pipeline(sys.argv[1], dataset=sys.argv[2])
print("ready", flush=True)
report = sync(pipeline=pipeline, checkpoint=Checkpoint(bytes=int(sys.argv[4])), clock=Clock())
assert report.failures == {}, report.failures
"""
"""A process that syncs to a destination and a dataset, at another time, in small load packages."""

VARYING = {"_dlt_load_id", "_dlt_id", "fetched_at", "requests", "retries"}
"""Columns that may differ between a run that was killed and one that was not."""

Form = tuple[tuple[str, str], ...]
Tables = dict[str, Counter[Form]]


@dataclass
class Torture:
    """What was done to a sync, and what it was at when it was done."""

    rounds: int = 0
    """How often it came to its end all the same."""
    kills: Counter[str] = field(default_factory=Counter)
    """What the process was doing when it was killed -> how often."""


@dataclass(frozen=True)
class Place:
    """Where a sync works and loads to."""

    directory: Path
    destination: str
    credentials: str
    dataset: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to work there and nowhere else."""
        return {
            "DLT_DATA_DIR": str(self.directory / "data"),
            "DLT_PROJECT_DIR": str(self.directory),
            "DLT_LOCAL_DIR": str(self.directory),
            "HOME": str(self.directory),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            f"DESTINATION__{self.destination.upper()}__CREDENTIALS": self.credentials,
        }

    def read_tables(self) -> Tables:
        """All rows of all tables, without what may vary."""
        factory = getattr(dlt.destinations, self.destination)
        pipeline = dlt.pipeline(
            "reader",
            destination=factory(self.credentials),
            dataset_name=self.dataset,
            pipelines_dir=str(self.directory / "reader"),
        )
        names = ("export", "engage", "_mixpanel_loads", "_mixpanel_columns")
        return {name: Counter(map(as_form, select_all(pipeline, name))) for name in names}

    def find_step(self) -> str:
        """What a process that stands still is doing, as its directories tell."""
        data = self.directory / "data"
        spool, packages = data / f"mixpanel_source/{NAME}.spool", data / f"pipelines/{NAME}"
        for step, directory, pattern in (
            ("load", packages, "load/normalized/*"),
            ("normalize", packages, "load/new/*"),
            ("download and spool", spool, "*.part"),
            ("ask and decode", packages, "normalize/*/*"),
        ):
            if any(directory.glob(pattern)):
                return step
        return "start and end"


def as_form(row: Mapping[str, Any]) -> Form:
    """A row as it has to be after every run, with the types of its values."""
    return tuple(
        (name, f"{type(value).__name__} {value}")
        for name, value in sorted(row.items())
        if name not in VARYING and value is not None
    )


def torture(
    directory: Path, destination: str, url: str, *, kills: int, days: int, seed: int
) -> Torture:
    """Kill a sync until it has been killed often enough, and let it end then.

    A sync that ends earlier is begun anew in another dataset. Whenever one ends, its tables must be
    those of a run that was never killed.

    Args:
        directory: to work in.
        destination: duckdb or postgres.
        url: address of the database; for DuckDB a file that there need not be yet.
        kills: how many.
        days: how many days there are to load, a request each.
        seed: another seed kills at other instants.
    """
    rng = random.Random(seed)  # noqa: S311 - instants, not secrets
    done = Torture()
    with serve(days) as start:
        clean = Place(directory / "clean", destination, url, "clean")
        longest_s = SHARE_OF_A_RUN * time_run(clean, start)
        expected = clean.read_tables()
        while not done.rounds or done.kills.total() < kills:
            dataset = f"round_{done.rounds}"
            place = Place(directory / dataset, destination, url, dataset)
            while done.kills.total() < kills:
                process = start(place)
                if ends_within(process, rng.uniform(0, longest_s)):
                    break
                done.kills[kill(process, place)] += 1
            else:
                assert start(place).wait() == 0
            assert_same(expected, place.read_tables())
            assert [*(place.directory / f"data/mixpanel_source/{NAME}.spool").glob("*")] == []
            done.rounds += 1
            logger.info("%d kills, %d syncs came to their end", done.kills.total(), done.rounds)
    return done


@contextmanager
def serve(days: int) -> Iterator[Callable[[Place], subprocess.Popen[str]]]:
    """Serve a project of some days; gives a function that starts a sync of it, up to its work."""
    project = made_up_project(last_day=YESTERDAY, days=days)
    behind_s = time.time() - NOON
    # time to be killed in, before and in the midst of a reply
    faults = [Fault("slow", chance=0.5, seconds=0.05), Fault("stall", chance=0.5, seconds=0.05)]
    with Sandbox(
        project, clock=lambda: time.time() - behind_s, faults=faults, **UNLIMITED
    ) as sandbox:
        paces = {"lookback_days": LOOKBACK_DAYS, "engage_page_size": 100}
        settings = as_environment({**settings_for(sandbox), **paces})
        package_bytes = 2 * sum(map(len, project.events[YESTERDAY]))

        def start(place: Place) -> subprocess.Popen[str]:
            place.directory.mkdir(parents=True, exist_ok=True)
            process = subprocess.Popen(
                [
                    *(sys.executable, "-c", CHILD, place.destination, place.dataset),
                    *(str(behind_s), str(package_bytes)),
                ],
                cwd=place.directory,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(Path(__file__).parents[2]),
                    **settings,
                    **place.environment,
                },
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            with process.stdout:
                assert process.stdout.readline() == "ready\n"
            return process

        yield start


def time_run(place: Place, start: Callable[[Place], subprocess.Popen[str]]) -> float:
    """Seconds that a sync takes if nobody kills it."""
    process = start(place)
    began = time.monotonic()
    assert process.wait() == 0
    return time.monotonic() - began


def ends_within(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether a sync comes to its end, and a good one, in that time."""
    try:
        assert process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    return True


def kill(process: subprocess.Popen[str], place: Place) -> str:
    """Kill a process as `kill -9` does, and tell what it was doing."""
    process.send_signal(signal.SIGSTOP)
    step = place.find_step()
    process.kill()
    process.wait()
    return step


def assert_same(expected: Tables, found: Tables) -> None:
    """The tables are the same, save that what is not settled may have been read more than once."""
    unsettled = [str(day) for day in unsettled_days()]
    for name, rows in expected.items():
        again = found[name].copy()
        if name == "_mixpanel_loads":
            for row in again:
                told = dict(row)
                if told["first_day"].split()[1] in unsettled:
                    again[row] = min(1, again[row])
        lost, new = rows - again, again - rows
        assert not lost, f"{name}: {lost.total()} rows are lost, such as {next(iter(lost))}"
        assert not new, f"{name}: {new.total()} rows are too many, such as {next(iter(new))}"


def unsettled_days() -> Iterator[date]:
    """The days that every sync reads again, and that of the profiles."""
    day = TODAY
    while settled_on(day, lookback_days=LOOKBACK_DAYS) > TODAY:
        yield day
        day -= DAY


def main() -> None:
    """Torture a sync by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", choices=["duckdb", "postgres"])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, serve_database(options.destination) as url:
        done = torture(
            Path(directory),
            options.destination,
            url or f"{directory}/torture.duckdb",
            kills=options.kills,
            days=options.days,
            seed=options.seed,
        )
    steps = ", ".join(f"{step} {count}" for step, count in done.kills.most_common())
    sys.stdout.write(
        f"{options.destination}: {done.kills.total()} kills in {time.monotonic() - began:.0f} s, "
        f"{done.rounds} syncs of {options.days} days ended with the tables of a clean run.\n"
        f"Killed in: {steps}.\n"
    )


@contextmanager
def serve_database(destination: str) -> Iterator[str]:
    """The address of an empty PostgreSQL; nothing for DuckDB, which is a file."""
    if destination == "duckdb":
        yield ""
        return
    from tests.conftest import PostgresServer  # noqa: PLC0415 - it brings the test runner

    with tempfile.TemporaryDirectory() as directory:
        server = PostgresServer(Path(directory))
        try:
            yield f"{server.start()}/postgres"
        finally:
            server.stop()


if __name__ == "__main__":
    main()
