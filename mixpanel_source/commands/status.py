"""What is loaded, what is missing and how the last run ended; asks Mixpanel nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

from .. import constants
from ..api.client import Clock
from ..api.rate_limit import requests_used
from ..config.providers import load_config
from ..errors import ConfigError
from ..jobs.history import RUNNING, LastRun, read_last_run
from ..jobs.pipeline import is_under_way
from ..paths import data_directory, last_run_file
from ..tables import events
from ..tables.ledger import Ledger
from ..tables.load_log import LOADS_TABLE
from ..windows import DAY, Window, iter_days
from .reader import DestinationReader, open_reader

KILLED = "killed"
"""Outcome of a run that never said how it ended, and is not under way."""


@dataclass(frozen=True)
class TableStatus:
    """What is loaded of one table."""

    table: str
    rows: int
    read_at: datetime | None
    """When Mixpanel was last asked for it."""
    first: date | None = None
    last: date | None = None
    gaps: Sequence[Window] = ()
    """Days between the first and the last that were never loaded."""
    newest_event: datetime | None = None
    synced_through: date | None = None


@dataclass(frozen=True)
class Load:
    """One window that was loaded."""

    table: str
    part: str
    """Of the table, if it is loaded part by part."""
    window: Window
    rows: int
    read_at: datetime


@dataclass(frozen=True)
class Status:
    """What is loaded, and how the last run ended."""

    project_id: int | None
    tables: Sequence[TableStatus]
    loads: Sequence[Load]
    last_run: LastRun | None
    outcome: str | None
    """Of the last run; `killed` if it never said."""
    used: dict[str, int] = field(default_factory=dict)
    """Quota, `export` or `query` -> requests made in the last hour; empty without settings."""
    per_hour: int = constants.REQUESTS_PER_HOUR


def status(
    *,
    destination: str = "duckdb",
    dataset: str = constants.DATASET_NAME,
    name: str = constants.PIPELINE_NAME,
    clock: Clock = time,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> Status:
    """Report what is loaded, what is missing and how the last run ended; makes no request.

    Args:
        destination: name of a dlt destination that is a SQL database.
        dataset: the dataset, or schema, of the tables.
        name: of the pipeline that loads them.
        clock: the current time.
        given: settings, which take precedence over those configured.

    Raises:
        ConfigError: the destination does not exist or has no credentials.
        BusyError: the database is open in another process that lets nobody else in.
    """
    with open_reader(destination, dataset=dataset, name=name) as reader:
        return read_status(name, reader, clock=clock, **given)


def read_status(
    name: str,
    reader: DestinationReader,
    *,
    clock: Clock = time,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> Status:
    """Find out what is loaded.

    Args:
        name: of the pipeline.
        reader: its destination.
        clock: the time.
        given: settings, which go before those configured.
    """
    run = read_last_run(last_run_file(name))
    outcome = run.outcome if run else None
    if outcome == RUNNING and not is_under_way(name):
        outcome = KILLED
    used, per_hour = _quota(clock.time(), given)
    return Status(
        project_id=reader.project_id,
        tables=[
            _table_status(table, reader) for table in constants.TABLES if reader.has_table(table)
        ],
        loads=_newest_loads(reader),
        last_run=run,
        outcome=outcome,
        used=used,
        per_hour=per_hour,
    )


def _quota(now: float, given: dict[str, Any]) -> tuple[dict[str, int], int]:
    try:
        config = load_config(given)
    except ConfigError:
        # what is loaded can be told without knowing the account
        return {}, 0
    return requests_used(config, data_directory(), now), config.requests_per_hour


def _table_status(table: str, reader: DestinationReader) -> TableStatus:
    if table != events.NAME:
        rows = reader.rows("SELECT count(*) FROM {table}", table)[0][0]
        return TableStatus(table, rows, _read_at(table, reader))
    rows, newest = reader.rows("SELECT count(*), max(time) FROM {table}", table)[0]
    windows = reader.windows_loaded(table)
    return TableStatus(
        table,
        rows,
        _read_at(table, reader),
        first=min((window.first for window in windows), default=None),
        last=max((window.last for window in windows), default=None),
        gaps=find_gaps(windows),
        newest_event=newest and _in_utc(newest),
        synced_through=Ledger(reader.state(table)).synced_through,
    )


def _read_at(table: str, reader: DestinationReader) -> datetime | None:
    if not reader.has_table(LOADS_TABLE):
        return None
    newest = reader.rows(
        f"SELECT max(fetched_at) FROM {{table}} WHERE table_name = '{table}'",  # noqa: S608 - as above
        LOADS_TABLE,
    )[0][0]
    return newest and _in_utc(newest)


def _newest_loads(reader: DestinationReader) -> list[Load]:
    if not reader.has_table(LOADS_TABLE):
        return []
    # a dataset that was loaded before there were parts gets the column with its next load
    part = "part" if "part" in reader.columns(LOADS_TABLE) else "NULL"
    rows = reader.rows(
        f"SELECT table_name, {part}, first_day, last_day, rows, fetched_at FROM {{table}} "  # noqa: S608 - our own name
        "ORDER BY fetched_at DESC, first_day DESC LIMIT 5",
        LOADS_TABLE,
    )
    return [
        Load(table, part or "", Window(first, last), number, _in_utc(at))
        for table, part, first, last, number, at in rows
    ]


def find_gaps(windows: Iterable[Window]) -> list[Window]:
    """The runs of days that no window covers, between the first day and the last."""
    covered = {day for window in windows for day in window.days}
    gaps: list[Window] = []
    for day in iter_days(min(covered, default=date.max), max(covered, default=date.min)):
        if day in covered:
            continue
        if gaps and gaps[-1].last == day - DAY:
            gaps[-1] = Window(gaps[-1].first, day)
        else:
            gaps.append(Window(day, day))
    return gaps


def _in_utc(at: datetime) -> datetime:
    return at.astimezone(timezone.utc) if at.tzinfo else at.replace(tzinfo=timezone.utc)
