"""A lab: a project, a sandbox that serves it, a pipeline that loads it, and one clock for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from mixpanel_sandbox import Project, Record, Sandbox
from mixpanel_source import JobResult, backfill, catch_up, open_pipeline, sync
from mixpanel_source.catalog.tables import DEFAULT_TABLES, TABLES
from mixpanel_source.config.providers import load_config
from mixpanel_source.jobs.source import build_source
from mixpanel_source.paths import spool_directory
from mixpanel_source.tables.context import LoadContext
from mixpanel_source.windows import iter_days
from tests.integration.fidelity import (
    assert_same,
    read_rows,
    select_all,
    served_events,
    served_profiles,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc).timestamp()
DAY_S = 86_400
ANCHOR = date(2026, 11, 13)
YESTERDAY = date(2026, 11, 20)
TODAY = date(2026, 11, 21)
LOOKBACK = ["2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"]
ALL_DAYS = ["2026-11-13", "2026-11-14", "2026-11-15", *LOOKBACK]
"""From `ANCHOR` to `YESTERDAY`."""
EVENTS_A_DAY = 3

UNLIMITED: dict[str, Any] = {
    "queries_per_hour": None,
    "exports_per_hour": None,
    "exports_per_second": None,
}


class Clock:
    """Time that passes only in waits, which are noted and skipped, and when told to."""

    def __init__(self) -> None:
        """Start at noon of 2026-11-21."""
        self.now = NOON
        self.naps: list[float] = []

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Be that much later at once."""
        self.naps.append(seconds)
        self.now += seconds

    def advance(self, *, days: float = 0, seconds: float = 0) -> None:
        """Let time pass."""
        self.now += days * DAY_S + seconds


@dataclass
class Lab:
    """What a test of a job works with."""

    project: Project
    sandbox: Sandbox
    clock: Clock
    pipeline: dlt.Pipeline
    given: dict[str, Any] = field(default_factory=dict)
    """Settings of every job; those of one job go before them."""

    @property
    def settings(self) -> dict[str, Any]:
        """What a job, or a source, is given."""
        return {**settings_for(self.sandbox), "anchor_date": ANCHOR, **self.given}

    def sync(self, *tables: str, **given: Any) -> JobResult:
        """Run a sync a minute later, and remember only its requests."""
        return sync(tables or DEFAULT_TABLES, **self._run_arguments(given))

    def backfill(self, days: str, **given: Any) -> JobResult:
        """Run a backfill a minute later, and remember only its requests."""
        return backfill(days, **self._run_arguments(given))

    def catch_up(self, **given: Any) -> JobResult:
        """Run a catch-up a minute later, and remember only its requests."""
        return catch_up(**self._run_arguments(given))

    def source(self, *tables: str, **given: Any) -> Any:
        """The dlt source that a job would run, with a job of its own."""
        context = LoadContext(load_config({**self.settings, **given}), clock=self.clock)
        source = build_source(context, TABLES)
        return source.with_resources(*tables) if tables else source

    def crash(self, table: str, **given: Any) -> None:
        """Take a table as far as its load package a minute later, and no further."""
        self.clock.advance(seconds=60)
        self.pipeline.extract(self.source(table, **given), loader_file_format="parquet")
        self.pipeline.normalize()
        assert self.pipeline.has_pending_data

    def _run_arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        self.clock.advance(seconds=60)
        self.sandbox.forget_requests()
        return {"pipeline": self.pipeline, "clock": self.clock, **self.settings, **given}

    def requests_for(self, table: str) -> list[Record]:
        """The requests for a table since the last job began."""
        return [record for record in self.sandbox.requests if f"/{table}" in record.path]

    @property
    def exported(self) -> list[str]:
        """The windows asked for since the last job began: a day, or `first..last`."""
        asked = [record.params for record in self.requests_for("export")]
        ends = [(params["from_date"], params["to_date"]) for params in asked]
        return [first if first == last else f"{first}..{last}" for first, last in ends]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, in no order; instants are microseconds since the epoch."""
        return select_all(self.pipeline, table)

    def count_by_day(self) -> dict[str, int]:
        """Day -> rows of `export`."""
        days = [str(row["event_date"]) for row in self.rows("export")]
        return {day: days.count(day) for day in sorted(set(days))}

    def assert_events_kept(self, first: date = ANCHOR, last: date = YESTERDAY) -> None:
        """`export` is what is served of these days: every event, once, and no other."""
        served = (
            row
            for row in served_events(self.project)
            if row.day is not None and first <= row.day <= last
        )
        assert_same(served, read_rows(self.pipeline, "export"))

    def assert_profiles_kept(self) -> None:
        """`engage` is what is served: every profile, once, and no other."""
        assert_same(served_profiles(self.project), read_rows(self.pipeline, "engage"))

    @property
    def spool(self) -> Path:
        """Where windows wait to be loaded."""
        return spool_directory(self.pipeline.pipeline_name)

    def spooled(self) -> list[str]:
        """The files there."""
        return [path.name for path in sorted(self.spool.glob("*"))]


@contextmanager
def open_lab(
    project: Project, pipeline: dlt.Pipeline | None = None, **sandbox_options: Any
) -> Iterator[Lab]:
    """Serve a project under a clock that stands still, and load it to DuckDB unless told where."""
    clock = Clock()
    options = {**UNLIMITED, "clock": clock.time, **sandbox_options}
    with Sandbox(project, **options) as sandbox:
        yield Lab(project, sandbox, clock, pipeline or open_pipeline())


def run_sync(project: Project, *tables: str, **sandbox_options: Any) -> JobResult:
    """Load a project once, into DuckDB unless configured otherwise."""
    with open_lab(project, **sandbox_options) as lab:
        return lab.sync(*tables)


def make_project(first: date = ANCHOR, last: date = YESTERDAY) -> Project:
    """A project with three events a day, five profiles and a cohort."""
    project = Project(cohorts=[{"id": 1, "project_id": 1234567, "name": "All", "count": 5}])
    for day in iter_days(first, last):
        for number in range(EVENTS_A_DAY):
            add_event(project, day, number)
    for number in range(5):
        project.add_profile(f"u{number}", {"$name": f"Name {number}", "plan": "pro"})
    return project


def add_event(project: Project, day: date, number: int, **properties: Any) -> None:
    """Add the event with that number to a day; it is by one of two users."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    properties = {
        "time": int((midnight + timedelta(minutes=number)).timestamp()),
        "distinct_id": f"u{number % 2}",
        "$insert_id": f"{day}-{number}",
        "mp_processing_time_ms": int(midnight.timestamp()) * 1000 + 500,
        "price": number,
        "plan": "pro" if number % 2 else "free",
        **properties,
    }
    project.add_event("Order" if number else "Sign up", properties)


def recent_project(days: int) -> Project:
    """A project of some days up to yesterday by the clock on the wall."""
    yesterday = datetime.now(timezone.utc).date() - timedelta(days=1)
    return make_project(yesterday - timedelta(days=days - 1), yesterday)


def settings_for(sandbox: Sandbox) -> dict[str, Any]:
    """What it takes to read from a sandbox all that it has, as fast as it goes."""
    return {
        "username": sandbox.username,
        "secret": sandbox.secret,
        "project_id": sandbox.project.project_id,
        "base_url": sandbox.url,
        "export_base_url": sandbox.url,
        "ingestion_base_url": sandbox.url,
        "anchor_date": min(sandbox.project.events, default=ANCHOR),
        "requests_per_second": 1000,
        "requests_per_hour": 0,
        "retry_base_seconds": 0.01,
    }


def as_environment(
    settings: Mapping[str, Any], *, prefix: str = "SOURCES__MIXPANEL__"
) -> dict[str, str]:
    """Settings as variables, where commands and scripts find them."""
    return {f"{prefix}{name.upper()}": str(value) for name, value in settings.items()}


def set_environment(
    monkeypatch: pytest.MonkeyPatch,
    settings: Mapping[str, Any],
    *,
    prefix: str = "SOURCES__MIXPANEL__",
) -> None:
    """Put settings into the environment of a test."""
    for name, value in as_environment(settings, prefix=prefix).items():
        monkeypatch.setenv(name, value)


@contextmanager
def configured_sandbox(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a project, with all that is needed to read it in the environment."""
    with Sandbox(project, **UNLIMITED) as sandbox:
        set_environment(monkeypatch, settings_for(sandbox))
        yield sandbox


def configure(directory: Path, name: str, text: str) -> None:
    """Write a file of `.dlt/` and have dlt read it."""
    path = directory / ".dlt" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    Container()[PluggableRunContext].reload_providers()
