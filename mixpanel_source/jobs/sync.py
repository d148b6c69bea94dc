"""The jobs: sync the tables, backfill a range of days, catch up with late events.

Each is a function that a script can call, and safe to run at any time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import dlt
from typing_extensions import Unpack

from .. import constants
from ..api.clock import Clock
from ..catalog.tables import DEFAULT_TABLES, EXPORT
from ..config.parsers import parse_range
from ..config.providers import load_config
from ..config.settings import Settings
from ..config.tables import select_tables
from ..engines.registry import LOCAL, open_engine
from ..errors import ConfigError
from ..progress import Progress
from ..tables.archive.opening import archive_settings, read_archive, select_archived
from ..tables.context import LoadContext
from ..tables.events.planning import check_range
from ..tables.package import Checkpoint
from .pipeline import open_pipeline
from .reporting.report import reported
from .runner import JobResult, run_job

__all__ = ["Checkpoint", "JobResult", "backfill", "catch_up", "run_catch_up", "run_sync", "sync"]


def sync(
    tables: Sequence[str] = DEFAULT_TABLES,
    *,
    pipeline: dlt.Pipeline | None = None,
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    progress: Progress | None = None,
    cancelled: Event | None = None,
    from_archive: str | Path | None = None,
    engine: str = LOCAL,
    engine_workers: int | None = None,
    **settings: Unpack[Settings],
) -> JobResult:
    """Bring `tables` up to date.

    Args:
        tables: names of tables, in the order to load them; `reports` for all that have a declared
            report.
        pipeline: where to load; `open_pipeline()` if not given.
        checkpoint: maximum size of a load package.
        max_wait_s: maximum seconds to wait for the quota, or for another job; a longer wait ends
            the job for now.
        clock: the time, and how to wait.
        progress: receives progress events.
        cancelled: once set, the job loads what it has fetched and ends.
        from_archive: directory of an archive to load from, without a request. The settings need no
            credentials then; the project is that of the archive.
        engine: where events are decoded, `local` or `ray`; see docs/scaling.md.
        engine_workers: windows that `ray` works on at once; the cluster's processors if not given.
        settings: take precedence over those configured.

    Returns:
        What was loaded, and what could not be, with the reasons.

    Raises:
        ConfigError: a setting or a table is unknown or malformed; nothing was loaded.
        AuthError: Mixpanel does not know the account or the project; nothing more was tried.
        BusyError: another job is loading into the same dataset.
    """
    with reported("sync", settings, clock=clock) as report:
        archive = None if from_archive is None else read_archive(from_archive)
        pipeline = pipeline or open_pipeline()
        context = LoadContext(
            load_config({**settings, **archive_settings(archive)}),
            checkpoint=checkpoint or Checkpoint(),
            max_wait_s=max_wait_s,
            clock=clock,
            progress=progress,
            cancelled=cancelled,
            from_archive=archive,
            engine=open_engine(engine, pipeline, workers=engine_workers),
        )
        report.start(select_tables(tables, context.config), context)
        return report.end(run_sync(tables, context, pipeline))


def run_sync(
    tables: Sequence[str], context: LoadContext, pipeline: dlt.Pipeline | None
) -> JobResult:
    """Bring `tables` up to date in a context that was prepared for it; see `sync`."""
    _check_no_range(context)
    selected: Sequence[str] = select_tables(tables, context.config)
    if context.from_archive is not None:
        selected = select_archived(selected, context.from_archive)
    return run_job("sync", selected, pipeline or open_pipeline(), context)


def backfill(
    days: str,
    *,
    pipeline: dlt.Pipeline | None = None,
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    progress: Progress | None = None,
    cancelled: Event | None = None,
    from_archive: str | Path | None = None,
    engine: str = LOCAL,
    engine_workers: int | None = None,
    **settings: Unpack[Settings],
) -> JobResult:
    """Load the events of some days, without reading or moving the cursor of syncs.

    A backfill that was interrupted continues where it stopped when run again with the same days.

    Args:
        days: `first,last`, both inclusive, as YYYY-MM-DD.
        pipeline: and all other arguments: see `sync`.
        checkpoint: see `sync`.
        max_wait_s: see `sync`.
        clock: see `sync`.
        progress: see `sync`.
        cancelled: see `sync`.
        from_archive: see `sync`.
        engine: see `sync`.
        engine_workers: see `sync`.
        settings: see `sync`.

    Raises:
        ConfigError: the days or a setting are malformed; nothing was loaded.
        AuthError: Mixpanel does not know the account or the project.
        BusyError: another job is loading into the same dataset.
    """
    with reported("backfill", settings, clock=clock) as report:
        parse_range("range", days)
        archive = None if from_archive is None else read_archive(from_archive)
        pipeline = pipeline or open_pipeline()
        context = LoadContext(
            load_config({**settings, **archive_settings(archive), "range": days}),
            checkpoint=checkpoint or Checkpoint(),
            max_wait_s=max_wait_s,
            clock=clock,
            progress=progress,
            cancelled=cancelled,
            from_archive=archive,
            engine=open_engine(engine, pipeline, workers=engine_workers),
        )
        report.start((EXPORT,), context)
        return report.end(run_backfill(context, pipeline))


def run_backfill(context: LoadContext, pipeline: dlt.Pipeline | None) -> JobResult:
    """Load the days of `range` in a context that was prepared for it; see `backfill`."""
    check_range(context.config, context.now())
    selected: Sequence[str] = ("export",)
    if context.from_archive is not None:
        selected = select_archived(selected, context.from_archive)
    return run_job("backfill", selected, pipeline or open_pipeline(), context)


def catch_up(
    *,
    pipeline: dlt.Pipeline | None = None,
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    progress: Progress | None = None,
    cancelled: Event | None = None,
    **settings: Unpack[Settings],
) -> JobResult:
    """Read the days again for which events arrived after they were last read.

    Searches the days of the last `catch_up_days` that were loaded and that no sync reads again, in
    one request if Mixpanel manages that; each day with late events takes one more. A catch-up that
    was interrupted continues where it stopped when run again.

    Args:
        pipeline: and all other arguments: see `sync`.
        checkpoint: see `sync`.
        max_wait_s: see `sync`.
        clock: see `sync`.
        progress: see `sync`.
        cancelled: see `sync`.
        settings: see `sync`.

    Raises:
        ConfigError: a setting is unknown or malformed; nothing was loaded.
        AuthError: Mixpanel does not know the account or the project.
        BusyError: another job is loading into the same dataset.
    """
    with reported("catch-up", settings, clock=clock) as report:
        context = LoadContext(
            load_config(settings),
            checkpoint=checkpoint or Checkpoint(),
            max_wait_s=max_wait_s,
            clock=clock,
            progress=progress,
            cancelled=cancelled,
            catches_up=True,
        )
        report.start((EXPORT,), context)
        return report.end(run_catch_up(context, pipeline))


def run_catch_up(context: LoadContext, pipeline: dlt.Pipeline | None) -> JobResult:
    """Catch up in a context that was prepared for it; see `catch_up`."""
    _check_no_range(context)
    return run_job("catch-up", ("export",), pipeline or open_pipeline(), context)


def _check_no_range(context: LoadContext) -> None:
    if context.config.range is not None:
        raise ConfigError("range is set, which is for a backfill: leave it out, or run a backfill.")
