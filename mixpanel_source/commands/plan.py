"""Estimates what a job would request, and how long the quota makes it take; sends no request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

from typing_extensions import Unpack

from .. import constants
from ..api.clock import Clock
from ..api.rate_limit import minimum_seconds
from ..api.request_log import open_request_log
from ..catalog.tables import DEFAULT_TABLES, EXPORT, find_table
from ..config.model import Config
from ..config.providers import load_config
from ..config.settings import Settings
from ..config.tables import select_tables
from ..paths import data_directory
from ..tables.events.day_parts import DaySplitter
from ..tables.events.ledger import Ledger
from ..tables.events.planning import plan_days
from ..tables.registry import RESOURCES
from ..windows import WindowQueue, WindowSizer
from .reader import DestinationReader, open_reader


@dataclass(frozen=True)
class TablePlan:
    """What a job would request for one table."""

    table: str
    requests: int
    """Metered requests; pages of profiles after the first are unmetered."""
    max_requests: int
    """The same, if `window_days = auto` finds no two days small enough for one request."""
    is_exact: bool = True
    """False if there may be more requests, one for each part that the first sync finds."""
    first: date | None = None
    last: date | None = None
    days: int = 0
    days_again: int = 0
    """How many of these days were loaded before and are read again."""
    parts: int = 1
    """Requests for each day, if the days are too big for one."""
    auto_requests: tuple[int, int] | None = None
    """What `window_days = auto` would request: at best, at worst."""

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        days = {"first": str(self.first), "last": str(self.last)} if self.first else {}
        counts = {"days": self.days, "days_again": self.days_again} if self.auto_requests else {}
        best, worst = self.auto_requests or (0, 0)
        auto = {"auto_requests": {"best": best, "worst": worst}} if self.auto_requests else {}
        parts = {"requests_per_day": self.parts} if self.parts > 1 else {}
        exact = {} if self.is_exact else {"requests_known": False}
        return {"requests": self.requests, **exact, **days, **counts, **parts, **auto}


@dataclass(frozen=True)
class Plan:
    """What a job would do, table by table."""

    config: Config
    tables: Sequence[TablePlan]
    used: dict[str, int]
    """Quota, `export` or `query` -> requests made in the last hour."""
    began_at: float
    """Now, in seconds since the epoch."""
    min_s: float
    """Seconds that pace and quota alone make it take."""
    max_s: float
    """The same with `max_requests`."""

    @property
    def requests(self) -> int:
        """All metered requests; at best, if `window_days` is `auto`."""
        return sum(table.requests for table in self.tables)

    @property
    def max_requests(self) -> int:
        """All metered requests at worst."""
        return sum(table.max_requests for table in self.tables)


def plan(
    tables: Sequence[str] = DEFAULT_TABLES,
    *,
    destination: str = "duckdb",
    dataset: str = constants.DATASET_NAME,
    name: str = constants.PIPELINE_NAME,
    clock: Clock = time,
    **settings: Unpack[Settings],
) -> Plan:
    """Estimate what a sync, or with `range` a backfill, would request if it began now.

    Args:
        tables: names of tables, in the order to load them.
        destination: name of a dlt destination that is a SQL database.
        dataset: the dataset, or schema, of the tables.
        name: of the pipeline that loads them.
        clock: the current time.
        settings: take precedence over those configured.

    Raises:
        ConfigError: a setting, a table or the destination is unknown, missing or malformed.
        BusyError: the database is open in another process that lets nobody else in.
    """
    config = load_config(settings)
    with open_reader(destination, dataset=dataset, name=name) as reader:
        return make_plan(tables, reader, config, clock)


def make_plan(
    tables: Sequence[str], reader: DestinationReader, config: Config, clock: Clock
) -> Plan:
    """The plan for what `reader` finds loaded; see `plan`."""
    now = clock.time()
    plans = [
        _plan_export(config, reader, now) if table == EXPORT else _plan_table(table, config, reader)
        for table in select_tables(tables, config)
    ]
    best = [(quota_of(plan.table), plan.requests) for plan in plans]
    worst = [(quota_of(plan.table), plan.max_requests) for plan in plans]
    log = open_request_log(config, data_directory())
    return Plan(
        config=config,
        tables=plans,
        used=log.read().used(now),
        began_at=now,
        min_s=minimum_seconds(config, log.read(), best, now),
        max_s=minimum_seconds(config, log.read(), worst, now),
    )


def quota_of(table: str) -> str:
    """The quota that the metered requests for a table count against."""
    return find_table(table).endpoint.quota or "query"


def _plan_table(table: str, config: Config, reader: DestinationReader) -> TablePlan:
    number = RESOURCES[table].count_requests(config, reader.state(table))
    known = 1 if number is None else number
    return TablePlan(table, known, known, is_exact=number is not None)


def _plan_export(config: Config, reader: DestinationReader, now: float) -> TablePlan:
    ledger = Ledger(deepcopy(reader.state(EXPORT)))
    days = plan_days(config, ledger, datetime.fromtimestamp(now, timezone.utc))
    through = ledger.synced_through
    again = [day for day in days if through is not None and day <= through]
    splitter = DaySplitter(config.split_days_above)
    splitter.note(ledger.rows_a_day)
    # a day that is read in parts is not read together with others
    parts = 1 << splitter.depth
    widest = config.window_days if parts == 1 else 1
    requests = count_windows(days, widest) * parts
    auto = count_windows(days, None) if parts == 1 else len(days) * parts
    return TablePlan(
        table=EXPORT,
        requests=requests,
        max_requests=len(days) * parts if config.window_days is None else requests,
        first=min(days, default=None),
        last=max(days, default=None),
        days=len(days),
        days_again=len(again) if config.range is None else 0,
        parts=parts,
        auto_requests=(auto, len(days) * parts),
    )


def count_windows(days: Sequence[date], window_days: int | None) -> int:
    """Requests for these days; with None, as `auto` makes them if every reply is small."""
    sizer = WindowSizer(window_days)
    queue = WindowQueue(days, sizer)
    number = 0
    while queue:
        sizer.note(queue.next(), 0)
        number += 1
    return number
