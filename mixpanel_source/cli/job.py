"""The commands that load: `sync`, `backfill` and `catch-up`."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from ..errors import CancelledError
from .exit_codes import tell_errors
from .signals import StoppableClock, run_stoppably, say_stopping
from .text import count, duration

if TYPE_CHECKING:
    from ..config.model import Config
    from ..jobs.sync import JobResult
    from ..tables.context import LoadContext
    from .progress_view import Board

LOGGERS = ("mixpanel_source",)


def run_sync(options: argparse.Namespace) -> int:
    """Bring the tables up to date; safe to run at any time."""
    from ..config.tables import check_tables

    check_tables(options.tables)
    with swift_imports():
        from ..jobs.sync import run_sync

    return _run(partial(run_sync, options.tables), options)


def run_backfill(options: argparse.Namespace) -> int:
    """Load the events of a range of days; the cursor of syncs stays where it is."""
    from ..config.parsers import parse_range

    with swift_imports():
        from ..jobs.sync import run_backfill

    parse_range("range", options.range)
    return _run(run_backfill, options, range=options.range)


def run_catch_up(options: argparse.Namespace) -> int:
    """Read the days again that late events arrived for; one request, and one for each such day."""
    with swift_imports():
        from ..jobs.sync import run_catch_up

    return _run(run_catch_up, options, catches_up=True)


def _run(
    job: Callable[[LoadContext, Any], JobResult],
    options: argparse.Namespace,
    *,
    catches_up: bool = False,
    **settings: str,
) -> int:
    """Run a job with its progress shown, and report what it did."""
    from ..config.providers import load_config
    from ..jobs.pipeline import open_pipeline
    from ..tables.context import LoadContext
    from ..tables.package import Checkpoint

    pipeline = open_pipeline(options.destination, dataset=options.dataset, name=options.pipeline)
    config = load_config(settings)
    board = _board(config) if options.progress == "auto" and sys.stderr.isatty() else None

    def run(cancelled: Event) -> JobResult:
        context = LoadContext(
            config,
            checkpoint=Checkpoint(),
            max_wait_s=options.max_wait,
            clock=StoppableClock(cancelled),
            progress=board,
            cancelled=cancelled,
            catches_up=catches_up,
        )
        return job(context, pipeline)

    with _shown(board):
        report = run_stoppably(run, ask=say_stopping, restore=_show_cursor)
    code = finish(report, as_json=options.json, debug=options.debug)
    if any(isinstance(error, CancelledError) for error in report.failures.values()):
        print("stopped; what is loaded stays. Run the same command to go on.", file=sys.stderr)
    return code


def _board(config: Config) -> Board:
    from ..api.rate_limit import minimum_seconds
    from ..commands.plan import quota_of
    from ..paths import data_directory
    from .progress_view import Board

    def forecast(table: str, requests: int) -> float:
        needed = [(quota_of(table), requests)]
        return minimum_seconds(config, data_directory(), needed, time.time())

    return Board(time.time, forecast)


def _shown(board: Board | None) -> AbstractContextManager[None]:
    if board is None:
        return nullcontext()
    from .live import shown

    return shown(board.texts, [logging.getLogger(name) for name in LOGGERS])


def _show_cursor() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\033[?25h\n")
        sys.stderr.flush()


@contextmanager
def swift_imports() -> Iterator[None]:
    """Import without looking for garbage: there is none, and looking takes a sixth of the time.

    What was imported stays, so it is not looked through later either: that takes a twentieth.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def finish(report: JobResult, *, as_json: bool = False, debug: bool = False) -> int:
    """Print what a job did, and return the exit code."""
    summary = _summary(report)
    print(json.dumps(summary) if as_json else _told(report, summary))
    tell_errors(report.failures.values(), debug=debug)
    return report.exit_code


def _summary(report: JobResult) -> dict[str, Any]:
    from ..jobs.pipeline import location

    repairs: Counter[str] = Counter()
    for window in report.windows:
        repairs.update(window.repairs)
    return {
        "rows": dict(report.rows),
        "requests": report.requests,
        "requests_left": report.requests_left,
        "duplicates_dropped": sum(window.duplicates_dropped for window in report.windows),
        "values_repaired": repairs.total(),
        "repairs": dict(repairs),
        "seconds": round(report.seconds, 1),
        "destination": location(report.pipeline),
        "dataset": report.pipeline.dataset_name,
        "failures": {str(part): str(error) for part, error in report.failures.items()},
    }


def _told(report: JobResult, summary: dict[str, Any]) -> str:
    rows = report.rows.total()
    rate = f" ({rows / report.seconds:,.0f} a second)" if report.seconds >= 1 else ""
    notes = [count(summary["requests"], "request")]
    left = summary["requests_left"]
    if left:
        notes.append("left of this hour: " + ", ".join(f"{n} {name}" for name, n in left.items()))
    kinds = [f"{number:,} {kind}" for kind, number in sorted(summary["repairs"].items())]
    repaired = f": {', '.join(kinds)}" if kinds else ""
    lines = [f"{table}: {number:,} rows" for table, number in report.rows.items()]
    took = f"{report.seconds:.1f} s" if report.seconds < 60 else duration(report.seconds)  # noqa: PLR2004 - a minute
    return "\n".join(
        [
            *lines,
            f"{rows:,} rows in {took}{rate}; {'; '.join(notes)}",
            f"{summary['duplicates_dropped']:,} duplicates dropped; "
            f"{summary['values_repaired']:,} values repaired{repaired}",
            f"in {summary['destination']}",
        ]
    )
