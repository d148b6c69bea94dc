"""A month of a project that is served from files: every row in them is loaded exactly once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dlt
import pytest

from mixpanel_sandbox import Project, made_up_project
from tests.support.lab import Lab, open_lab
from tests.support.projects import YESTERDAY

WEEK = [f"2026-11-0{day}" for day in range(1, 8)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a file of events for each day, and the profiles and cohorts."""
    path = tmp_path_factory.mktemp("month")
    project = made_up_project(last_day=YESTERDAY, days=30)
    (path / "export").mkdir()
    for day, lines in project.events.items():
        write_lines(path / "export" / f"{day}.jsonl.gz", lines)
    write_lines(path / "engage.jsonl.gz", project.profiles)
    (path / "cohorts.json").write_text(json.dumps(project.cohorts))
    return path


@pytest.fixture
def month(directory: Path, any_pipeline: dlt.Pipeline) -> Iterator[Lab]:
    """The directory, served to jobs that load it into each of the destinations."""
    project = Project.from_directory(directory)
    with open_lab(project, any_pipeline) as lab:
        lab.overrides = {"anchor_date": min(project.events)}
        yield lab


@dataclass
class Counts:
    """Number of rows in the files, duplicate events counted once."""

    events: dict[str, int]
    """By UTC day."""
    profiles: int
    cohorts: int


@pytest.fixture
def counts(directory: Path) -> Counts:
    """Count the rows without the sandbox and the package."""
    events = {}
    for path in sorted((directory / "export").iterdir()):
        rows = [json.loads(line) for line in read_lines(path)]
        keys = {
            (row["event"], row["properties"]["distinct_id"], row["properties"]["$insert_id"])
            for row in rows
        }
        assert len(keys) == len(rows) - 2, "each day of the made-up project has two duplicates"
        events[path.name.partition(".")[0]] = len(keys)
    profiles = {
        json.loads(line)["$distinct_id"] for line in read_lines(directory / "engage.jsonl.gz")
    }
    cohorts = json.loads((directory / "cohorts.json").read_text())
    return Counts(events, len(profiles), len(cohorts))


def write_lines(path: Path, lines: list[bytes]) -> None:
    """Write compressed lines."""
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", compresslevel=1))


def read_lines(path: Path) -> list[bytes]:
    """Read compressed lines."""
    return gzip.decompress(path.read_bytes()).splitlines()


def test_every_row_is_loaded_once(month: Lab, counts: Counts) -> None:
    """After a first and after a second sync, the tables have the rows of the files."""
    assert len(counts.events) == 30
    for _ in range(2):
        result = month.sync("export", "engage", "cohorts")
        assert result.failures == {}
        assert month.count_by_day() == counts.events
        assert len(month.rows("engage")) == counts.profiles
        assert len(month.rows("cohorts")) == counts.cohorts


@pytest.mark.slow
def test_values_are_kept(month: Lab) -> None:
    """Events and profiles are read back with the values that were served."""
    month.sync("export", "engage")
    month.assert_events_kept(min(month.project.events), max(month.project.events))
    month.assert_profiles_kept()


def test_backfill_of_a_week(month: Lab, counts: Counts) -> None:
    """A backfill into an empty database loads the requested days only."""
    month.backfill(f"{WEEK[0]},{WEEK[-1]}")
    assert month.count_by_day() == {day: counts.events[day] for day in WEEK}
    assert date.fromisoformat(WEEK[0]) > min(month.project.events)
