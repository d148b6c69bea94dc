"""A lab: a project, the sandbox that serves it, the pipeline that loads it, and one clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import dlt

from mixpanel_sandbox import Project, Record, Sandbox
from mixpanel_source import JobResult, backfill, catch_up, open_pipeline, sync
from mixpanel_source.catalog.tables import DEFAULT_TABLES, TABLES
from mixpanel_source.config.providers import load_config
from mixpanel_source.destinations.registry import target_of
from mixpanel_source.jobs.source import build_source
from mixpanel_source.tables.context import LoadContext
from mixpanel_source.windows import DAY
from tests.support.clock import Clock, noon
from tests.support.fidelity import assert_same, read_rows, served_events, served_profiles
from tests.support.projects import ANCHOR, YESTERDAY
from tests.support.settings import UNLIMITED, settings_for
from tests.support.tables import select_all


@dataclass
class Lab:
    """Runs jobs against a sandbox and reads back what they loaded.

    Every job runs a minute after the previous one, and only its own requests are kept.
    """

    project: Project
    sandbox: Sandbox
    clock: Clock
    pipeline: dlt.Pipeline
    overrides: dict[str, Any] = field(default_factory=dict)
    """Settings of every job, on top of those that read the sandbox."""

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a job or source."""
        return {**settings_for(self.sandbox), "anchor_date": ANCHOR, **self.overrides}

    def sync(self, *tables: str, **settings: Any) -> JobResult:
        """Run a sync, of the default tables if none is named."""
        return sync(tables or DEFAULT_TABLES, **self._next_job(settings))

    def backfill(self, days: str, **settings: Any) -> JobResult:
        """Run a backfill of the range `days`, `first,last`."""
        return backfill(days, **self._next_job(settings))

    def catch_up(self, **settings: Any) -> JobResult:
        """Run a catch-up."""
        return catch_up(**self._next_job(settings))

    def source(self, *tables: str, **settings: Any) -> Any:
        """Return the dlt source that a job runs, of all tables if none is named."""
        context = LoadContext(load_config({**self.settings, **settings}), clock=self.clock)
        source = build_source(context, TABLES)
        return source.with_resources(*tables) if tables else source

    def leave_pending_package(self, table: str, **settings: Any) -> None:
        """Stop a load of a table after its load package was built, as a crash would."""
        self.clock.advance(seconds=60)
        self.pipeline.extract(self.source(table, **settings), loader_file_format="parquet")
        self.pipeline.normalize()
        assert self.pipeline.has_pending_data

    def _next_job(self, settings: dict[str, Any]) -> dict[str, Any]:
        self.clock.advance(seconds=60)
        self.sandbox.forget_requests()
        return {"pipeline": self.pipeline, "clock": self.clock, **self.settings, **settings}

    def requests_for(self, table: str) -> list[Record]:
        """Return the requests of the last job whose path contains the table name."""
        return [record for record in self.sandbox.requests if f"/{table}" in record.path]

    @property
    def exported(self) -> list[str]:
        """Windows of events that the last job requested: a day, or `first..last`."""
        params = [record.params for record in self.requests_for("export")]
        windows = [(window["from_date"], window["to_date"]) for window in params]
        return [first if first == last else f"{first}..{last}" for first, last in windows]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of a table, unordered; see `select_all` for the form of the values."""
        return select_all(self.pipeline, table)

    def count_by_day(self) -> dict[str, int]:
        """Return the number of rows in `export` by day."""
        days = [str(row["event_date"]) for row in self.rows("export")]
        return {day: days.count(day) for day in sorted(set(days))}

    def assert_events_kept(self, first: date = ANCHOR, last: date = YESTERDAY) -> None:
        """Assert that `export` has every event of these days exactly once, and no other."""
        served = (
            row
            for row in served_events(self.project)
            if row.day is not None and first <= row.day <= last
        )
        assert_same(served, read_rows(self.pipeline, "export"))

    def assert_profiles_kept(self) -> None:
        """Assert that `engage` has every profile exactly once, and no other."""
        assert_same(served_profiles(self.project), read_rows(self.pipeline, "engage"))

    @property
    def spool(self) -> Path:
        """Directory of downloaded windows that are not loaded yet."""
        return target_of(self.pipeline).spool

    def spooled_files(self) -> list[str]:
        """Return the names of the files in the spool."""
        return [path.name for path in sorted(self.spool.glob("*"))]


@contextmanager
def open_lab(
    project: Project,
    pipeline: dlt.Pipeline | None = None,
    *,
    clock: Clock | None = None,
    **sandbox_options: Any,
) -> Iterator[Lab]:
    """Serve a project for as long as the context is open.

    Args:
        project: The project to serve.
        pipeline: Where to load it to; DuckDB by default.
        clock: Clock of the jobs and the sandbox; a new one by default.
        sandbox_options: Options of the sandbox, which has no limits over time by default.
    """
    clock = clock or Clock()
    options = {**UNLIMITED, "clock": clock.time, **sandbox_options}
    with Sandbox(project, **options) as sandbox:
        yield Lab(project, sandbox, clock, pipeline or open_pipeline())


def load(
    project: Project,
    pipeline: dlt.Pipeline,
    *tables: str,
    clock: Clock | None = None,
    **settings: Any,
) -> JobResult:
    """Sync a project once; a failed table or a retry fails the test.

    Args:
        project: The project to load, from its first to its last day.
        pipeline: Where to load it to.
        tables: Tables to load, the default ones if none is named.
        clock: A clock shared by several loads; by default it is the day after the last event.
        settings: Further settings of the source.
    """
    clock = clock or Clock(noon(max(project.events) + DAY))
    settings = {"anchor_date": min(project.events), "retries": 0, **settings}
    with open_lab(project, pipeline, clock=clock) as lab:
        result = lab.sync(*tables, **settings)
    assert result.failures == {}
    return result
