"""The jobs: bring the tables up to date, load a range of days, read late events.

Each is a function a script can call, and safe to run at any time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event
from typing import Any

import dlt

from .. import constants
from ..api.client import Clock
from ..config.model import Config
from ..config.parsers import parse_range
from ..config.providers import load_config
from ..config.tables import select_tables
from ..errors import ConfigError
from ..progress import Progress
from ..tables.context import Checkpoint, Job
from .pipeline import location, open_pipeline
from .runner import JobResult, run_job

__all__ = [
    "Checkpoint",
    "JobResult",
    "backfill",
    "catch_up",
    "location",
    "open_pipeline",
    "sync",
]


def sync(
    tables: Sequence[str] = constants.DEFAULT_TABLES,
    *,
    pipeline: dlt.Pipeline | None = None,
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    progress: Progress | None = None,
    stop: Event | None = None,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> JobResult:
    """Bring `tables` up to date; safe to run at any time.

    Args:
        tables: names of tables, in the order to load them; `reports` for all that have a declared
            report.
        pipeline: where to; `open_pipeline()` if not given.
        checkpoint: how much to load at a time.
        max_wait_s: longest wait that the quota may impose; a longer one ends the job for now.
        clock: the time, and how to wait.
        progress: is told how it goes.
        stop: once set, the job loads what it has and ends.
        given: settings, which go before those configured.

    Returns:
        What was loaded, and the tables that could not be, with the reason.

    Raises:
        ConfigError: a setting or a table is unknown or malformed; nothing was loaded.
        AuthError: Mixpanel does not know the account or the project; nothing more was tried.
        BusyError: another job of the same pipeline is under way.
    """
    selected = select_tables(tables, _load_without_range(given))
    job = Job(
        checkpoint=checkpoint or Checkpoint(),
        max_wait_s=max_wait_s,
        clock=clock,
        progress=progress,
        stop=stop,
    )
    return run_job("sync", selected, pipeline or open_pipeline(), job, given)


def backfill(
    wanted: str,
    *,
    pipeline: dlt.Pipeline | None = None,
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    progress: Progress | None = None,
    stop: Event | None = None,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> JobResult:
    """Load the events of `wanted`, neither reading nor moving the cursor of syncs.

    One that was interrupted goes on where it was when run again with the same days.

    Args:
        wanted: `first,last`, both inclusive, of the form YYYY-MM-DD.
        pipeline: where to; `open_pipeline()` if not given.
        checkpoint: how much to load at a time.
        max_wait_s: longest wait that the quota may impose; a longer one ends the job for now.
        clock: the time, and how to wait.
        progress: is told how it goes.
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
        progress=progress,
        stop=stop,
    )
    return run_job("backfill", ("export",), pipeline or open_pipeline(), job, given)


def catch_up(
    *,
    pipeline: dlt.Pipeline | None = None,
    checkpoint: Checkpoint | None = None,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    clock: Clock = time,
    progress: Progress | None = None,
    stop: Event | None = None,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> JobResult:
    """Read the days again that events have arrived for after the last sync that read them.

    The days of the last `catch_up_days` that were loaded and that no sync reads again are looked
    through, in one request where Mixpanel answers it; each day with late events takes another.
    One that was interrupted goes on where it was when run again.

    Args:
        pipeline: where to; `open_pipeline()` if not given.
        checkpoint: how much to load at a time.
        max_wait_s: longest wait that the quota may impose; a longer one ends the job for now.
        clock: the time, and how to wait.
        progress: is told how it goes.
        stop: once set, the job loads what it has and ends.
        given: settings, which go before those configured.

    Raises:
        ConfigError: a setting is unknown or malformed; nothing was loaded.
        AuthError: Mixpanel does not know the account or the project.
        BusyError: another job of the same pipeline is under way.
    """
    _load_without_range(given)
    job = Job(
        checkpoint=checkpoint or Checkpoint(),
        max_wait_s=max_wait_s,
        clock=clock,
        progress=progress,
        stop=stop,
        catches_up=True,
    )
    return run_job("catch-up", ("export",), pipeline or open_pipeline(), job, given)


def _load_without_range(given: dict[str, Any]) -> Config:
    config = load_config(given)
    if config.range is not None:
        raise ConfigError("range is set, which is for a backfill: leave it out, or run a backfill.")
    return config
