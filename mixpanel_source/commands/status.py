"""What is loaded, what is missing and how the last run ended; sends no request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone

from typing_extensions import Unpack

from .. import constants
from ..api.clock import Clock
from ..api.request_log import open_request_log
from ..catalog.tables import EXPORT, TABLE_NAMES
from ..config.model import Config
from ..config.providers import load_config
from ..config.settings import Settings
from ..destinations.base import TableFiles
from ..errors import ConfigError
from ..jobs.history import RUNNING, LastRun, read_last_run
from ..jobs.lock import is_job_running
from ..paths import data_directory
from ..tables.events.ledger import Ledger
from ..tables.load_log import LOADS_TABLE, KeptDay
from ..windows import DAY, Window, iter_days
from .reader import DestinationReader, open_reader

KILLED = "killed"
"""Outcome of a run that recorded no end and is not in progress."""


@dataclass(frozen=True)
class TableStatus:
    """What is loaded of one table."""

    table: str
    rows: int
    read_at: datetime | None
    """When it was last read from Mixpanel."""
    first: date | None = None
    last: date | None = None
    gaps: Sequence[Window] = ()
    """Days between the first and the last that were never loaded."""
    newest_event: datetime | None = None
    synced_through: date | None = None
    files: TableFiles | None = None
    """The files with its rows; None if it shares them with other tables, or they are unknown."""
    kept_days: Mapping[date, KeptDay] = field(default_factory=dict)
    """Settled days whose events stay although Mixpanel serves fewer, as of their last read."""


@dataclass(frozen=True)
class Load:
    """One window that was loaded."""

    table: str
    part: str
    """Part of the table, if it is loaded part by part."""
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
    """Of the last run; `killed` if it recorded no end."""
    used: dict[str, int] = field(default_factory=dict)
    """Quota, `export` or `query` -> requests made in the last hour; empty without settings."""
    per_hour: int = constants.REQUESTS_PER_HOUR


def status(
    *,
    destination: str = "duckdb",
    dataset: str = constants.DATASET_NAME,
    name: str = constants.PIPELINE_NAME,
    clock: Clock = time,
    **settings: Unpack[Settings],
) -> Status:
    """Report what is loaded, what is missing and how the last run ended; makes no request.

    Args:
        destination: name of a dlt destination that is a SQL database.
        dataset: the dataset, or schema, of the tables.
        name: of the pipeline that loads them.
        clock: the current time.
        settings: take precedence over those configured.

    Raises:
        ConfigError: the destination does not exist or has no credentials.
        BusyError: the database is open in another process that lets nobody else in.
    """
    try:
        config = load_config(settings)
    except ConfigError:
        # what is loaded can be reported without knowing the account
        config = None
    with open_reader(destination, dataset=dataset, name=name) as reader, reader.connected():
        return read_status(reader, config, clock)


def read_status(reader: DestinationReader, config: Config | None, clock: Clock) -> Status:
    """The status of what `reader` finds loaded; see `status`.

    Args:
        reader: the destination of a pipeline.
        config: the settings; None if they are incomplete.
        clock: the current time.
    """
    run = read_last_run(reader.target.last_run_file)
    outcome = run.outcome if run else None
    if outcome == RUNNING and not is_job_running(reader.target):
        outcome = KILLED
    return Status(
        project_id=reader.project_id,
        tables=[_table_status(table, reader) for table in TABLE_NAMES if reader.has_table(table)],
        loads=_newest_loads(reader),
        last_run=run,
        outcome=outcome,
        used=_requests_used(config, clock.time()),
        per_hour=config.requests_per_hour if config else 0,
    )


def _requests_used(config: Config | None, now: float) -> dict[str, int]:
    return open_request_log(config, data_directory()).read().used(now) if config else {}


def _table_status(table: str, reader: DestinationReader) -> TableStatus:
    if table != EXPORT:
        rows = reader.rows("SELECT count(*) FROM {table}", table)[0][0]
        return TableStatus(table, rows, _read_at(table, reader), files=reader.files(table))
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
        files=reader.files(table),
        kept_days=_kept_days(table, reader),
    )


def _read_at(table: str, reader: DestinationReader) -> datetime | None:
    rows = reader.load_log(
        f"SELECT max(fetched_at) FROM {{loads}} WHERE table_name = '{table}'"  # noqa: S608 - our own name
    )
    newest = rows[0][0] if rows else None
    return newest and _in_utc(newest)


def _kept_days(table: str, reader: DestinationReader) -> dict[date, KeptDay]:
    # datasets loaded before this column existed get it with their next load
    if "days_kept" not in reader.columns(LOADS_TABLE):
        return {}
    rows = reader.load_log(
        "SELECT first_day, last_day, CAST(days_kept AS text) FROM {loads} "  # noqa: S608 - our own name
        f"WHERE table_name = '{table}' ORDER BY fetched_at"
    )
    kept: dict[date, KeptDay] = {}
    for first, last, text in rows:
        for day in iter_days(first, last):
            kept.pop(day, None)
        for day, counts in json.loads(text or "{}").items():
            kept[date.fromisoformat(day)] = KeptDay(**counts)
    return dict(sorted(kept.items()))


def _newest_loads(reader: DestinationReader) -> list[Load]:
    # datasets loaded before this column existed get it with their next load
    part = "part" if "part" in reader.columns(LOADS_TABLE) else "NULL"
    rows = reader.load_log(
        f"SELECT table_name, {part}, first_day, last_day, rows, fetched_at FROM {{loads}} "  # noqa: S608 - our own name
        "ORDER BY fetched_at DESC, first_day DESC LIMIT 5"
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
