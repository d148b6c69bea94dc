"""What a job would fetch, and how long the quota makes that take; asks Mixpanel nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from typing import Any

from .. import constants
from ..api.client import Clock
from ..api.rate_limit import least_seconds, requests_used
from ..config.model import Config
from ..config.providers import load_config
from ..config.tables import select_tables
from ..paths import data_directory
from ..tables import events
from ..tables.context import Job
from ..tables.ledger import Ledger
from ..tables.registry import RESOURCES
from ..windows import WindowQueue, WindowSizer
from .reader import DestinationReader, open_reader


@dataclass(frozen=True)
class TablePlan:
    """What a job would ask for one table."""

    table: str
    requests: int
    """That count against the quota; the pages of profiles after the first do not."""
    most_requests: int
    """The same, where `window_days = auto` finds no two days small enough for one request."""
    is_known: bool = True
    """Whether there may not be more requests, one for each part that the first sync will find."""
    first: date | None = None
    last: date | None = None
    days: int = 0
    days_again: int = 0
    """Of these, loaded before and to be read once more."""
    auto_requests: tuple[int, int] | None = None
    """What `window_days = auto` would ask for: at best, at worst."""

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        days = {"first": str(self.first), "last": str(self.last)} if self.first else {}
        counts = {"days": self.days, "days_again": self.days_again} if self.auto_requests else {}
        best, worst = self.auto_requests or (0, 0)
        auto = {"auto_requests": {"best": best, "worst": worst}} if self.auto_requests else {}
        known = {} if self.is_known else {"requests_known": False}
        return {"requests": self.requests, **known, **days, **counts, **auto}


@dataclass(frozen=True)
class Plan:
    """What a job would do, table by table."""

    config: Config
    tables: Sequence[TablePlan]
    used: dict[str, int]
    """Quota, `export` or `query` -> requests made in the last hour."""
    began_at: float
    """Now, seconds since the epoch."""
    least_s: float
    """Seconds that pace and quota alone make it take."""
    most_s: float
    """The same with `most_requests`."""

    @property
    def requests(self) -> int:
        """All requests that count against a quota; at best, if `window_days` is `auto`."""
        return sum(table.requests for table in self.tables)

    @property
    def most_requests(self) -> int:
        """The same, at worst."""
        return sum(table.most_requests for table in self.tables)


def plan(
    tables: Sequence[str] = constants.DEFAULT_TABLES,
    *,
    destination: str = "duckdb",
    dataset: str = constants.DATASET_NAME,
    name: str = constants.PIPELINE_NAME,
    clock: Clock = time,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> Plan:
    """Estimate what a sync, or with `range` a backfill, would request; makes no request.

    Args:
        tables: names of tables, in the order to load them.
        destination: name of a dlt destination that is a SQL database.
        dataset: the dataset, or schema, of the tables.
        name: of the pipeline that loads them.
        clock: the current time.
        given: settings, which take precedence over those configured.

    Raises:
        ConfigError: a setting, a table or the destination is unknown, missing or malformed.
        BusyError: the database is open in another process that lets nobody else in.
    """
    with open_reader(destination, dataset=dataset, name=name) as reader:
        return make_plan(tables, reader, clock=clock, **given)


def make_plan(
    tables: Sequence[str],
    reader: DestinationReader,
    *,
    clock: Clock = time,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> Plan:
    """Foretell what a sync, or with `range` a backfill, would ask for if it began now.

    Args:
        tables: in the order to load them.
        reader: the destination.
        clock: the time.
        given: settings, which go before those configured.

    Raises:
        ConfigError: a setting or a table is unknown, missing or malformed.
    """
    config = load_config(given)
    now = clock.time()
    plans = [
        _plan_export(config, reader, clock)
        if table == events.NAME
        else _plan(table, config, reader)
        for table in select_tables(tables, config)
    ]
    best = [(quota_of(plan.table), plan.requests) for plan in plans]
    worst = [(quota_of(plan.table), plan.most_requests) for plan in plans]
    return Plan(
        config=config,
        tables=plans,
        used=requests_used(config, data_directory(), now),
        began_at=now,
        least_s=least_seconds(config, data_directory(), best, now),
        most_s=least_seconds(config, data_directory(), worst, now),
    )


def quota_of(table: str) -> str:
    """What the requests for a table count against, those that are counted."""
    return "export" if table == events.NAME else "query"


def _plan(table: str, config: Config, reader: DestinationReader) -> TablePlan:
    number = RESOURCES[table].count_requests(config, reader.state(table))
    least = 1 if number is None else number
    return TablePlan(table, least, least, is_known=number is not None)


def _plan_export(config: Config, reader: DestinationReader, clock: Clock) -> TablePlan:
    ledger = Ledger(deepcopy(reader.state(events.NAME)))
    days = events.plan_days(config, ledger, Job(clock=clock))
    through = ledger.synced_through
    again = [day for day in days if through is not None and day <= through]
    requests = count_windows(days, config.window_days)
    return TablePlan(
        table=events.NAME,
        requests=requests,
        most_requests=len(days) if config.window_days is None else requests,
        first=min(days, default=None),
        last=max(days, default=None),
        days=len(days),
        days_again=len(again) if config.range is None else 0,
        auto_requests=(count_windows(days, None), len(days)),
    )


def count_windows(days: Sequence[date], window_days: int | None) -> int:
    """Requests for these days; with None, as `auto` asks where every answer is small."""
    sizer = WindowSizer(window_days)
    queue = WindowQueue(days, sizer)
    number = 0
    while queue:
        sizer.note(queue.next(), 0)
        number += 1
    return number
