"""Runs the commands that load: progress while they run, Ctrl-C, and the result."""

from __future__ import annotations

import argparse
import logging
import os
import select
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from threading import Event
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..errors import CancelledError, ConfigError, MixpanelError
from .exit_codes import INTERRUPTED
from .job_output import PROJECT_COLUMNS, print_result, project_cells, summarize_result
from .options import (
    add_accept_deletions,
    add_archive,
    add_json,
    add_max_wait,
    add_metrics_file,
    add_progress,
    add_projects,
    add_target,
)
from .output import complain, print_errors
from .parser import Parser
from .progress_view import Board, shown
from .projects import check_options, print_error, print_results, target_of
from .signals import CancellableClock, run_cancellable

if TYPE_CHECKING:
    import dlt

    from ..config.model import Config
    from ..config.projects import ProjectSettings
    from ..jobs.projects import ProjectResult
    from ..jobs.sync import JobResult
    from ..tables.archive.archive import Archive
    from ..tables.context import LoadContext
    from ..tables.engine import Engine
    from ..tables.package import TablePart

_STDERR = 2
"""File descriptor of standard error."""


class Result(Protocol):
    """What a job did."""

    @property
    def failures(self) -> Mapping[TablePart, MixpanelError]:
        """Table, or part of one -> the error that ended it."""


AnyResult = TypeVar("AnyResult", bound=Result)
Job = Callable[[Sequence[str], "LoadContext", "dlt.Pipeline"], "JobResult"]
"""Loads tables, in a context, through a pipeline."""


def add_job_options(parser: Parser) -> None:
    """Add the options that all these commands have."""
    add_projects(parser)
    add_target(parser)
    add_accept_deletions(parser)
    add_archive(parser)
    add_max_wait(parser)
    add_metrics_file(parser)
    add_progress(parser)
    add_json(parser)


def run_job(
    job: Job,
    options: argparse.Namespace,
    *,
    name: str,
    tables: Callable[[ProjectSettings], Sequence[str]],
    catches_up: bool = False,
    from_archive: str | None = None,
    engine: str = "local",
    engine_workers: int | None = None,
    **settings: str,
) -> int:
    """Run a job with its progress shown, print what it did and return the exit code.

    Args:
        job: loads tables; without `--projects` into one dataset, else once for each project.
        options: those of `add_job_options`.
        name: of the job, in reports.
        tables: names of the tables that it loads, for a project.
        catches_up: see `LoadContext`.
        from_archive: directory of an archive to load from.
        engine: see `open_engine`.
        engine_workers: see `open_engine`.
        settings: take precedence over those configured.
    """
    if options.accept_deletions:
        settings["accept_deletions"] = "true"
    if options.archive:
        settings["archive"] = options.archive
    if options.metrics_file:
        settings["metrics_file"] = options.metrics_file

    def run(project: ProjectSettings, cancelled: Event | None = None) -> JobResult:
        from ..config.providers import load_config
        from ..config.tables import select_tables
        from ..engines.registry import open_engine
        from ..jobs.pipeline import open_pipeline
        from ..jobs.reporting.report import reported
        from ..tables.archive.opening import archive_settings, read_archive

        given = {**project.settings, **settings}
        with reported(name, given) as report:
            archive = None if from_archive is None else read_archive(from_archive)
            pipeline = open_pipeline(
                options.destination, dataset=project.dataset, name=project.pipeline
            )
            config = load_config({**given, **archive_settings(archive)})
            selected = tables(project)

            def load(context: LoadContext) -> JobResult:
                report.start(select_tables(selected, config), context)
                return report.end(job(selected, context, pipeline))

            return run_shown(
                load,
                config,
                options,
                tables=select_tables(selected, config),
                catches_up=catches_up,
                from_archive=archive,
                cancelled=cancelled,
                engine=lambda: open_engine(engine, pipeline, workers=engine_workers),
            )

    if options.projects is not None:
        if engine != "local":
            raise ConfigError(f"--engine {engine} loads one project: leave out --projects.")
        return _run_projects(run, options)
    result = run(target_of(options))
    print_result(result, as_json=options.json, debug=options.debug)
    announce_cancelled(result.failures, "loaded")
    return result.exit_code


def _run_projects(
    run: Callable[[ProjectSettings, Event], JobResult], options: argparse.Namespace
) -> int:
    from ..jobs.projects import for_each_project

    check_options(options)
    results = run_cancellable(
        lambda cancelled: for_each_project(
            lambda project: run(project, cancelled),
            options.projects,
            cancelled=cancelled,
            on_end=lambda ended: _print_failures(ended, options),
        ),
        on_cancel=announce_cancel,
        before_exit=show_cursor,
    )
    code = print_results(
        results, options, as_json=summarize_result, columns=PROJECT_COLUMNS, cells=project_cells
    )
    if code == INTERRUPTED:
        complain("Cancelled. What is loaded stays. Run the same command to continue.")
    return code


def _print_failures(ended: ProjectResult[JobResult], options: argparse.Namespace) -> None:
    """Print what failed of a project as soon as it has ended: others may take hours."""
    print_error(ended, options)
    if ended.result is not None:
        print_errors(ended.result.failures.values(), debug=options.debug, about=ended.project)


def run_shown(
    job: Callable[[LoadContext], AnyResult],
    config: Config,
    options: argparse.Namespace,
    *,
    tables: Sequence[str],
    catches_up: bool = False,
    from_archive: Archive | None = None,
    cancelled: Event | None = None,
    engine: Callable[[], Engine | None] = lambda: None,
) -> AnyResult:
    """Run a job until it ends or is cancelled; on a terminal, show the progress of its tables.

    Args:
        job: what to run.
        config: all settings.
        options: those of `add_job_options`.
        tables: the tables that it reads.
        catches_up: see `LoadContext`.
        from_archive: see `LoadContext`.
        cancelled: cancels the job; by default Ctrl-C does.
        engine: opens the engine.
    """
    from ..tables.context import LoadContext
    from ..tables.package import Checkpoint

    board = None
    if options.progress == "auto" and options.log_format == "text" and sys.stderr.isatty():
        board = Board(tables, now=time.time, forecast=forecast_of(config))

    def run(cancelled: Event) -> AnyResult:
        context = LoadContext(
            config,
            checkpoint=Checkpoint(),
            max_wait_s=options.max_wait,
            clock=CancellableClock(cancelled),
            progress=board,
            cancelled=cancelled,
            catches_up=catches_up,
            from_archive=from_archive,
            engine=engine(),
        )
        result = job(context)
        if board is not None:
            board.job_ended(result.failures)
        return result

    with shown(board, logging.getLogger("mixpanel_source")) if board else nullcontext():
        if cancelled is not None:
            return run(cancelled)
        return run_cancellable(run, on_cancel=announce_cancel, before_exit=show_cursor)


def announce_cancelled(failures: Mapping[TablePart, MixpanelError], done: str) -> None:
    """Say that a job was cancelled, if it was, and that nothing is lost.

    Args:
        failures: of the job.
        done: what happened to the rows: "loaded", for example.
    """
    if any(isinstance(error, CancelledError) for error in failures.values()):
        complain(f"Cancelled. What is {done} stays. Run the same command to continue.")


def forecast_of(config: Config) -> Callable[[str, int], float]:
    """Estimates how long a number of requests for a table takes at the quota, in seconds."""
    from ..api.rate_limit import minimum_seconds
    from ..api.request_log import open_request_log
    from ..commands.plan import quota_of
    from ..paths import data_directory

    log = open_request_log(config, data_directory())

    def forecast(table: str, requests: int) -> float:
        needed = [(quota_of(table), requests)]
        return minimum_seconds(config, log.read(), needed, time.time())

    return forecast


def announce_cancel() -> None:
    """Tell that a job ends as soon as what it has fetched is safe."""
    complain("Cancelling: loading what was fetched. Press Ctrl-C again to end at once.")


def show_cursor() -> None:
    """Undo what the live view did to the terminal, without waiting for anything.

    `sys.stderr` is out of the question: the live view replaces it, and both take locks that the
    interrupted code may hold.
    """
    if _STDERR in select.select([], [_STDERR], [], 0)[1] and os.isatty(_STDERR):
        os.write(_STDERR, b"\033[?25h\n")
