"""Kills a sync at random instants, restarts it, and compares the result with an undisturbed sync.

`test_kills` does this with few kills, `make torture` with many; see
`python -m tests.support.random_kills --help`.
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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import dlt
from dlt.destinations.impl.ducklake.configuration import DuckLakeCredentials

from mixpanel_sandbox import Fault, Sandbox, made_up_project
from mixpanel_source.destinations.ducklake.client import ExactDuckLake
from mixpanel_source.destinations.lake import factory
from mixpanel_source.windows import DAY, settled_on
from tests.support.clock import Clock
from tests.support.postgres import PostgresServer
from tests.support.projects import TODAY, YESTERDAY
from tests.support.settings import UNLIMITED, as_environment, settings_for
from tests.support.tables import select_all

logger = logging.getLogger(__name__)

PIPELINE = "mixpanel"
LAKES: Mapping[str, Callable[[str], Any]] = {
    "delta": factory.delta,
    "iceberg": factory.iceberg,
    "parquet": factory.parquet,
}
"""Destination that is found by the URL of a bucket -> its factory."""
DUCKLAKE = "ducklake"
LOOKBACK_DAYS = 5
LONGEST_LOAD_S = 0.25
"""Maximum time from the beginning of a load to a kill that is aimed at it."""
LONGEST_LIFE = 0.2
"""Maximum time before a kill, as a share of the duration of an undisturbed sync."""

SYNC = """
import sys

from mixpanel_source import Checkpoint, open_pipeline, sync
from tests.support.clock import Clock

destination, dataset, now, package_bytes = sys.argv[1:]
pipeline = open_pipeline(destination, dataset=dataset)
print("ready", flush=True)
result = sync(
    pipeline=pipeline, checkpoint=Checkpoint(bytes=int(package_bytes)), clock=Clock(float(now))
)
assert result.failures == {}, result.failures
"""
"""Program of the processes that are killed: a sync in small load packages."""

VARYING_COLUMNS = {"_dlt_load_id", "_dlt_id", "fetched_at", "requests", "retries"}
"""Columns that may differ between a disturbed and an undisturbed sync."""

RowForm = tuple[tuple[str, str], ...]
Tables = dict[str, Counter[RowForm]]
Start = Callable[["Place"], "subprocess.Popen[str]"]
"""Starts a sync and returns when it begins to work."""


@dataclass
class Outcome:
    """What was done to the syncs."""

    completed: int = 0
    """Number of syncs that completed, after any number of kills each."""
    kills: Counter[str] = field(default_factory=Counter)
    """Number of kills by what the process was doing."""


@dataclass(frozen=True)
class Place:
    """A working directory and a dataset of its own."""

    directory: Path
    destination: str
    credentials: str
    dataset: str

    @property
    def environment(self) -> dict[str, str]:
        """Environment that keeps a process inside the directory."""
        return {
            "DLT_DATA_DIR": str(self.directory / "data"),
            "DLT_PROJECT_DIR": str(self.directory),
            "DLT_LOCAL_DIR": str(self.directory),
            "HOME": str(self.directory),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            **{f"DESTINATION__{name}": value for name, value in self._settings.items()},
        }

    @property
    def _settings(self) -> Mapping[str, str]:
        if self.destination == DUCKLAKE:
            return {
                "DUCKLAKE__CREDENTIALS__CATALOG": f"sqlite:///{self.credentials}",
                "DUCKLAKE__CREDENTIALS__STORAGE__BUCKET_URL": f"{self.credentials}.files",
            }
        setting = "BUCKET_URL" if self.destination in LAKES else "CREDENTIALS"
        return {f"{self.destination.upper()}__{setting}": self.credentials}

    def _build_destination(self) -> Any:
        if self.destination == DUCKLAKE:
            catalog, files = f"sqlite:///{self.credentials}", f"{self.credentials}.files"
            return ExactDuckLake(DuckLakeCredentials(catalog=catalog, storage=files))
        build = LAKES.get(self.destination) or getattr(dlt.destinations, self.destination)
        return build(self.credentials)

    @property
    def spooled(self) -> list[Path]:
        """Files of downloaded windows that are not loaded yet."""
        return [*self.directory.glob("data/mixpanel_source/*/spool/*")]

    def read_tables(self) -> Tables:
        """Return all rows of all tables, without the varying columns."""
        pipeline = dlt.pipeline(
            "reader",
            destination=self._build_destination(),
            dataset_name=self.dataset,
            pipelines_dir=str(self.directory / "reader"),
        )
        names = ("export", "engage", "_mixpanel_loads", "_mixpanel_columns")
        return {name: Counter(map(comparable, select_all(pipeline, name))) for name in names}

    def find_step(self) -> str:
        """Return what a stopped process was doing, judged by its files."""
        packages = f"dlt/{PIPELINE}"
        for step, pattern in (
            ("load", f"{packages}/load/normalized/*"),
            ("normalize", f"{packages}/load/new/*"),
            ("download", "spool/*.part"),
            ("extract", f"{packages}/normalize/*/*"),
        ):
            if any(self.directory.glob(f"data/mixpanel_source/*/{pattern}")):
                return step
        return "start or end"


def comparable(row: Mapping[str, Any]) -> RowForm:
    """Return a row as text with types, without varying columns and nulls."""
    return tuple(
        (name, f"{type(value).__name__} {value}")
        for name, value in sorted(row.items())
        if name not in VARYING_COLUMNS and value is not None
    )


def kill_at_random(
    directory: Path,
    destination: str,
    url: str,
    *,
    kills: int,
    days: int,
    seed: int,
    in_loads: bool = False,
) -> Outcome:
    """Kill and restart a sync until it was killed often enough, then let it complete.

    A sync that completes earlier is followed by another in a new dataset. The tables of every
    completed sync must equal those of an undisturbed one.

    Args:
        directory: Working directory.
        destination: `duckdb`, `postgres` or a lake.
        url: URL of the database; for DuckDB and DuckLake a file, which is created if missing; for
            another lake a directory.
        kills: Number of kills.
        days: Number of days to load, each with a request of its own.
        seed: Seed of the instants.
        in_loads: Whether to kill only while a package is being loaded.
    """
    rng = random.Random(seed)  # noqa: S311 - instants, not secrets
    outcome = Outcome()
    with serve(days) as start:
        undisturbed = Place(directory / "undisturbed", destination, url, "undisturbed")
        longest_s = LONGEST_LIFE * time_sync(undisturbed, start)
        expected = undisturbed.read_tables()
        while not outcome.completed or outcome.kills.total() < kills:
            dataset = f"round_{outcome.completed}"
            place = Place(directory / dataset, destination, url, dataset)
            while outcome.kills.total() < kills:
                process = start(place)
                step = (
                    kill_in_load(process, place, rng)
                    if in_loads
                    else kill_within(process, place, rng.uniform(0, longest_s))
                )
                if not step:
                    break
                outcome.kills[step] += 1
            else:
                assert start(place).wait() == 0
            assert_same(expected, place.read_tables())
            assert place.spooled == []
            outcome.completed += 1
            logger.info("%d kills, %d syncs completed", outcome.kills.total(), outcome.completed)
    return outcome


@contextmanager
def serve(days: int) -> Iterator[Start]:
    """Serve a made-up project; yields a function that starts a sync of it in a process."""
    project = made_up_project(last_day=YESTERDAY, days=days)
    clock = Clock()
    # delays before and within responses, so that kills hit these moments too
    faults = [Fault("slow", chance=0.5, seconds=0.05), Fault("stall", chance=0.5, seconds=0.05)]
    with Sandbox(project, clock=clock.time, faults=faults, **UNLIMITED) as sandbox:
        options = {"lookback_days": LOOKBACK_DAYS, "engage_page_size": 100}
        settings = as_environment({**settings_for(sandbox), **options})
        package_bytes = 2 * sum(map(len, project.events[YESTERDAY]))

        def start(place: Place) -> subprocess.Popen[str]:
            clock.advance(seconds=1)
            place.directory.mkdir(parents=True, exist_ok=True)
            process = subprocess.Popen(
                [
                    *(sys.executable, "-c", SYNC, place.destination, place.dataset),
                    *(str(clock.now), str(package_bytes)),
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


def time_sync(place: Place, start: Start) -> float:
    """Run an undisturbed sync and return its duration in seconds."""
    process = start(place)
    began = time.monotonic()
    assert process.wait() == 0
    return time.monotonic() - began


def completes_within(process: subprocess.Popen[str], seconds: float) -> bool:
    """Return whether a sync completes in time; one that fails fails the test."""
    try:
        assert process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    return True


def reaches_load(process: subprocess.Popen[str], place: Place) -> bool:
    """Wait for the next load of a sync; False if the sync completes before it."""
    while process.poll() is None:
        # the process removes files meanwhile
        with suppress(FileNotFoundError):
            if place.find_step() == "load":
                return True
        time.sleep(0.002)
    assert process.returncode == 0
    return False


def kill_within(process: subprocess.Popen[str], place: Place, seconds: float) -> str:
    """Kill a sync after some time; what it was doing, or an empty text if it completed."""
    if completes_within(process, seconds):
        return ""
    step = stop(process, place)
    kill(process)
    return step


def kill_in_load(process: subprocess.Popen[str], place: Place, rng: random.Random) -> str:
    """Kill a sync in one of its loads; "load", or an empty text if it completed before."""
    while reaches_load(process, place):
        if completes_within(process, rng.uniform(0, LONGEST_LOAD_S)):
            break
        if stop(process, place) == "load":
            kill(process)
            return "load"
        process.send_signal(signal.SIGCONT)
    return ""


def stop(process: subprocess.Popen[str], place: Place) -> str:
    """Stop a process, and return what it was doing."""
    process.send_signal(signal.SIGSTOP)
    return place.find_step()


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process with SIGKILL."""
    process.kill()
    process.wait()


def assert_same(expected: Tables, actual: Tables) -> None:
    """Assert that the tables are the same.

    Windows that were not settled may be logged several times, because each sync reads them again.
    """
    unsettled = [str(day) for day in unsettled_days()]
    for name, rows in expected.items():
        counts = actual[name].copy()
        if name == "_mixpanel_loads":
            for row in counts:
                if dict(row)["first_day"].split()[1] in unsettled:
                    counts[row] = min(1, counts[row])
        missing, extra = rows - counts, counts - rows
        assert not missing, f"{name}: {missing.total()} rows are missing: {next(iter(missing))}"
        assert not extra, f"{name}: {extra.total()} rows too many: {next(iter(extra))}"


def unsettled_days() -> Iterator[date]:
    """Yield the days that every sync reads again, today included."""
    day = TODAY
    while settled_on(day, lookback_days=LOOKBACK_DAYS) > TODAY:
        yield day
        day -= DAY


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", choices=["duckdb", "postgres", DUCKLAKE, *LAKES])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--in-loads", action="store_true", help="kill only during loads")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, open_database(options.destination) as url:
        outcome = kill_at_random(
            Path(directory),
            options.destination,
            url or f"{directory}/mixpanel.{options.destination}",
            kills=options.kills,
            days=options.days,
            seed=options.seed,
            in_loads=options.in_loads,
        )
    steps = ", ".join(f"{step} {count}" for step, count in outcome.kills.most_common())
    took_s = time.monotonic() - began
    sys.stdout.write(
        f"{options.destination}: {outcome.kills.total()} kills in {took_s:.0f} s, "
        f"{outcome.completed} syncs of {options.days} days completed with the expected tables.\n"
        f"Kills by step: {steps}.\n"
    )


@contextmanager
def open_database(destination: str) -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL; an empty string where files are enough."""
    if destination != "postgres":
        yield ""
        return
    with tempfile.TemporaryDirectory() as directory:
        server = PostgresServer(Path(directory))
        try:
            yield f"{server.start()}/postgres"
        finally:
            server.stop()


if __name__ == "__main__":
    main()
