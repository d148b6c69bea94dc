"""The jobs: bring the tables up to date, load a range of days.

Each is a function a script can call. A job runs the source again and again, a load package at a
time, until there is nothing left to fetch; what is loaded stays loaded, whatever happens next. It
starts from what the destination holds, not from what an earlier run left half done: a package that
was interrupted is dropped and loaded anew, for loading the rest of it would load some rows twice.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import dlt

from . import settings
from .client import Clock
from .comments import write_comments
from .config import Config
from .errors import AuthError, CancelledError, ConfigError, MixpanelError, PausedError
from .last_run import DONE, FAILED, STOPPED, LastRun, write_last_run
from .lookup import load_config
from .parsers import nearest_hint, parse_range
from .pipeline import (
    alone,
    appending_note,
    last_run_path,
    location,
    open_pipeline,
    own_errors,
    start_clean,
)
from .quota import requests_left
from .reports import reports_of
from .resources.session import Checkpoint, Job, WindowReport, data_directory, pipeline_spool
from .source import mixpanel_source
from .watch import Watcher

logger = logging.getLogger("mixpanel_source")

LEXICON = "lexicon"

__all__ = [
    "Checkpoint",
    "Report",
    "backfill",
    "check_tables",
    "expand_tables",
    "location",
    "open_pipeline",
    "sync",
]


@dataclass
class Report:
    """What a job did."""

    pipeline: dlt.Pipeline
    windows: list[WindowReport] = field(default_factory=list)
    failures: dict[str, MixpanelError] = field(default_factory=dict)
    """Table, or table and part as in `funnels: Checkout` -> why it was not brought up to date; the
    others were."""
    seconds: float = 0.0
    requests: int = 0
    """Requests made, those that failed and those that are free included."""
    requests_left: dict[str, int] = field(default_factory=dict)
    """Quota, `export` or `query` -> requests this hour still allows; empty if it has no bound."""

    @property
    def rows(self) -> Counter[str]:
        """Table -> rows loaded."""
        rows: Counter[str] = Counter()
        for window in self.windows:
            rows[window.table_name] += window.rows
        return rows


def sync(  # noqa: PLR0913 - each has a default, and each is named
    tables: Sequence[str] = settings.DEFAULT_TABLES,
    *,
    pipeline: dlt.Pipeline | None = None,
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = settings.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    watcher: Watcher | None = None,
    stop: Event | None = None,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> Report:
    """Bring `tables` up to date; safe to run at any time.

    Args:
        tables: names of tables, in the order to load them; `reports` for all that have a declared
            report.
        pipeline: where to; `open_pipeline()` if not given.
        checkpoint: how much to load at a time.
        max_wait_s: longest wait that the quota may impose; a longer one ends the job for now.
        clock: the time, and how to wait.
        watcher: is told how it goes.
        stop: once set, the job loads what it has and ends.
        given: settings, which go before those configured.

    Returns:
        What was loaded, and the tables that could not be, with the reason.

    Raises:
        ConfigError: a setting or a table is unknown or malformed; nothing was loaded.
        AuthError: Mixpanel does not know the account or the project; nothing more was tried.
        BusyError: another job of the same pipeline is under way.
    """
    check_tables(tables)
    config = load_config(given)
    if config.range is not None:
        raise ConfigError("range is set, which is for a backfill: leave it out, or run a backfill.")
    job = Job(
        checkpoint=checkpoint or Checkpoint(),
        max_wait_s=max_wait_s,
        clock=clock,
        watcher=watcher,
        stop=stop,
    )
    return _run(expand_tables(tables, config), pipeline or open_pipeline(), job, given)


def backfill(  # noqa: PLR0913 - each has a default, and each is named
    wanted: str,
    *,
    pipeline: dlt.Pipeline | None = None,
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = settings.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    watcher: Watcher | None = None,
    stop: Event | None = None,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> Report:
    """Load the events of `wanted`, neither reading nor moving the cursor of syncs.

    One that was interrupted goes on where it was when run again with the same days.

    Args:
        wanted: `first,last`, both inclusive, of the form YYYY-MM-DD.
        pipeline: where to; `open_pipeline()` if not given.
        checkpoint: how much to load at a time.
        max_wait_s: longest wait that the quota may impose; a longer one ends the job for now.
        clock: the time, and how to wait.
        watcher: is told how it goes.
        stop: once set, the job loads what it has and ends.
        given: settings, which go before those configured.

    Raises:
        ConfigError: the days or a setting are malformed; nothing was loaded.
        AuthError: Mixpanel does not know the account or the project.
        BusyError: another job of the same pipeline is under way.
    """
    parse_range("range", wanted)
    given = {**given, "range": wanted}
    load_config(given)
    job = Job(
        checkpoint=checkpoint or Checkpoint(),
        max_wait_s=max_wait_s,
        clock=clock,
        watcher=watcher,
        stop=stop,
    )
    return _run(("export",), pipeline or open_pipeline(), job, given)


def check_tables(tables: Sequence[str]) -> None:
    """Refuse tables that do not exist.

    Raises:
        ConfigError: naming the valid ones.
    """
    known = (*settings.TABLES, settings.ALL_REPORTS)
    unknown = [name for name in tables if name not in known]
    if unknown or not tables:
        raise ConfigError(
            f"tables is {', '.join(tables) or 'empty'}; it must be names out of "
            f"{', '.join(known)}, with commas between them"
            f"{nearest_hint(unknown, known).replace(' did', ': did') or '.'}"
        )


def expand_tables(tables: Sequence[str], config: Config) -> tuple[str, ...]:
    """The tables, each once, with `reports` as those that have a declared report.

    Raises:
        ConfigError: a table of reports is nothing without one, and has none.
    """
    declared = [report.table for report in config.reports]
    if settings.ALL_REPORTS in tables and not declared:
        raise ConfigError(
            "reports is not set, and tables has it: declare reports in config.toml, "
            "[[sources.mixpanel.reports]], or leave it out of tables."
        )
    expanded: list[str] = []
    for table in tables:
        if table in settings.REPORT_TABLES:
            reports_of(config.reports, table)
        expanded += declared if table == settings.ALL_REPORTS else [table]
    return tuple(dict.fromkeys(expanded))


def _run(
    tables: Sequence[str],
    pipeline: dlt.Pipeline,
    job: Job,
    given: dict[str, Any],
) -> Report:
    report = Report(pipeline)
    if note := appending_note(pipeline):
        logger.warning(note)
    name = "backfill" if "range" in given else "sync"
    run = LastRun(name, tables, began_at=job.clock.time())
    with alone(pipeline), _noted(run, report, job.clock):
        for table in tables:
            try:
                # a table that was loaded leaves nothing behind; an earlier job or a failure may
                if not report.windows or report.failures:
                    start_clean(pipeline)
                for windows in _iter_packages(table, pipeline, job, given):
                    report.windows += windows
                report.failures.update(job.failures)
            except (AuthError, ConfigError):
                raise
            except MixpanelError as failure:
                report.failures[table] = failure
                job.drop_ahead()
                if isinstance(failure, CancelledError):
                    break
        if LEXICON in tables and LEXICON not in report.failures:
            write_comments(pipeline)
        if not report.failures:
            # what is still there was fetched for other settings, or loaded just before a crash
            pipeline_spool(pipeline.pipeline_name).clear()
    report.requests = job.requests
    report.requests_left = requests_left(load_config(given), data_directory(), job.clock.time())
    return report


@contextmanager
def _noted(run: LastRun, report: Report, clock: Clock) -> Iterator[None]:
    """Note, for `status`, that a run is under way and how it ends."""
    path = last_run_path(report.pipeline.pipeline_name)
    write_last_run(path, run)
    failures: dict[str, str] = {}
    outcome = FAILED
    try:
        yield
        failures = {table: str(error) for table, error in report.failures.items()}
        stopped = any(isinstance(e, _STOPS) for e in report.failures.values())
        outcome = STOPPED if stopped else FAILED if failures else DONE
    except MixpanelError as error:
        failures = {"": str(error)}
        raise
    except BaseException as error:
        # of an error that nobody foresaw the text may hold a value
        failures = {"": type(error).__name__}
        raise
    finally:
        report.seconds = clock.time() - run.began_at
        ended = replace(
            run,
            ended_at=clock.time(),
            outcome=outcome,
            rows=report.rows.total(),
            failures=failures,
        )
        write_last_run(path, ended)


_STOPS = (CancelledError, PausedError)


def _iter_packages(
    table: str, pipeline: dlt.Pipeline, job: Job, given: dict[str, Any]
) -> Iterator[list[WindowReport]]:
    """Loads a package at a time; yields its windows once they are loaded."""
    while True:
        if job.stop.is_set():
            raise CancelledError("Stopped, as asked.")
        job.begin_package()
        source = mixpanel_source(job=job, **given).with_resources(table)
        with own_errors():
            pipeline.run(source, loader_file_format="parquet")
        job.end_package()
        job.watcher.loaded(table)
        yield job.reports
        if job.failure is not None:
            raise job.failure
        if not job.unfinished:
            return
