"""What all jobs have in common: the packages of each table, and what is told of them.

A job runs the source again and again, a load package at a time, until there is nothing left to
fetch; what is loaded stays loaded, whatever happens next. It starts from what the destination
holds, not from what an earlier run left half done: a package that was interrupted is dropped and
loaded anew, for loading the rest of it would load some rows twice.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import dlt

from ..api.client import Clock
from ..api.rate_limit import requests_left
from ..config.providers import load_config
from ..errors import AuthError, CancelledError, ConfigError, MixpanelError, PausedError
from ..paths import data_directory, last_run_file
from ..tables.context import Job, pipeline_spool
from ..tables.load_log import WindowLoad
from .column_comments import write_comments
from .history import DONE, FAILED, STOPPED, LastRun, write_last_run
from .pipeline import appending_note, pipeline_lock, reset_local_state, unwrap_errors
from .source import mixpanel_source

logger = logging.getLogger("mixpanel_source")

LEXICON = "lexicon"
_EXIT_CODES = (130, 1, 2, 75)
"""Exit codes of failures, the one that matters most first."""


@dataclass
class JobResult:
    """What a job did."""

    pipeline: dlt.Pipeline
    windows: list[WindowLoad] = field(default_factory=list)
    failures: dict[str, MixpanelError] = field(default_factory=dict)
    """Table, or table and part as in `funnels: Checkout` -> why it was not brought up to date; the
    others were."""
    seconds: float = 0.0
    requests: int = 0
    """Requests made, those that failed and those that are free included."""
    requests_left: dict[str, int] = field(default_factory=dict)
    """Quota, `export` or `query` -> requests this hour still allows; empty if it has no bound."""

    @property
    def exit_code(self) -> int:
        """The exit code for these failures; of several, the one that matters most."""
        codes = {error.exit_code for error in self.failures.values()}
        return next((code for code in _EXIT_CODES if code in codes), 0)

    @property
    def rows(self) -> Counter[str]:
        """Table -> rows loaded."""
        rows: Counter[str] = Counter()
        for window in self.windows:
            rows[window.table_name] += window.rows
        return rows


def run_job(
    name: str, tables: Sequence[str], pipeline: dlt.Pipeline, job: Job, given: dict[str, Any]
) -> JobResult:
    """Load `tables`, one after the other, a package at a time.

    Args:
        name: of the job, for `status`.
        tables: in the order to load them.
        pipeline: where to.
        job: what all packages share.
        given: settings, which go before those configured.
    """
    report = JobResult(pipeline)
    if note := appending_note(pipeline):
        logger.warning(note)
    run = LastRun(name, tables, began_at=job.clock.time())
    with pipeline_lock(pipeline), _noted(run, report, job.clock):
        for table in tables:
            try:
                # a table that was loaded leaves nothing behind; an earlier job or a failure may
                if not report.windows or report.failures:
                    reset_local_state(pipeline)
                for windows in _iter_packages(table, pipeline, job, given):
                    report.windows += windows
            except (AuthError, ConfigError):
                raise
            except MixpanelError as failure:
                report.failures[table] = failure
                job.drop_ahead()
                if isinstance(failure, CancelledError):
                    break
        report.failures.update(job.failures)
        if LEXICON in tables and LEXICON not in report.failures:
            write_comments(pipeline)
        if not report.failures:
            # what is still there was fetched for other settings, or loaded just before a crash
            pipeline_spool(pipeline.pipeline_name).clear()
    report.requests = job.requests
    report.requests_left = requests_left(load_config(given), data_directory(), job.clock.time())
    return report


@contextmanager
def _noted(run: LastRun, report: JobResult, clock: Clock) -> Iterator[None]:
    """Note, for `status`, that a run is under way and how it ends."""
    path = last_run_file(report.pipeline.pipeline_name)
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
) -> Iterator[list[WindowLoad]]:
    """Loads a package at a time; yields its windows once they are loaded."""
    while True:
        if job.stop.is_set():
            raise CancelledError("Stopped, as asked.")
        job.begin_package()
        source = mixpanel_source(job=job, **given).with_resources(table)
        with unwrap_errors():
            pipeline.run(source, loader_file_format="parquet")
        job.end_package()
        job.progress.loaded(table)
        yield job.reports
        if job.failure is not None:
            raise job.failure
        if not job.unfinished:
            return
