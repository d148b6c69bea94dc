"""What a job would fetch, and how long the quota makes that take; asks Mixpanel nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from typing import Any

from .client import Clock
from .config import Config
from .ledger import Ledger
from .lookup import load_config
from .peek import Peek
from .quota import least_seconds, requests_used
from .resources import RESOURCES, export
from .resources.session import Job, data_directory
from .selection import select_tables
from .windows import WindowQueue, WindowSizer


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


def make_plan(
    tables: Sequence[str],
    peek: Peek,
    *,
    clock: Clock = time,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> Plan:
    """Foretell what a sync, or with `range` a backfill, would ask for if it began now.

    Args:
        tables: in the order to load them.
        peek: the destination.
        clock: the time.
        given: settings, which go before those configured.

    Raises:
        ConfigError: a setting or a table is unknown, missing or malformed.
    """
    config = load_config(given)
    now = clock.time()
    plans = [
        _plan_export(config, peek, clock) if table == export.NAME else _plan(table, config, peek)
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
    return "export" if table == export.NAME else "query"


def _plan(table: str, config: Config, peek: Peek) -> TablePlan:
    number = RESOURCES[table].count_requests(config, peek.state(table))
    least = 1 if number is None else number
    return TablePlan(table, least, least, is_known=number is not None)


def _plan_export(config: Config, peek: Peek, clock: Clock) -> TablePlan:
    ledger = Ledger(deepcopy(peek.state(export.NAME)))
    days = export.plan_days(config, ledger, Job(clock=clock))
    through = ledger.synced_through
    again = [day for day in days if through is not None and day <= through]
    requests = count_windows(days, config.window_days)
    return TablePlan(
        table=export.NAME,
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
