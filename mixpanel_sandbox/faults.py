"""Failing on demand: which fault strikes which request."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

from .fault_kinds import KINDS, Kind
from .messages import Reply, Request
from .routes import TABLES


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when; it strikes where all of its conditions hold.

    Requests refused for their credentials, the plan or a quota are counted, but never struck.
    """

    name: str
    """A key of `KINDS`."""
    day: date | None = None
    """Only exports whose range holds this day."""
    table: str | None = None
    """Only requests for this table, a name in `TABLES`."""
    page: int | None = None
    """Only this page of profiles, counted from 0."""
    request: int | None = None
    """From the n-th request on, counted from 1: of its table if `table` is given, else of all."""
    chance: float | None = None
    """Only with this probability, 0 to 1."""
    seed: int = 0
    """Seed of the chance."""
    times: int | None = None
    """How often; 0 is without end. By default once, or without end where `chance` is given."""
    seconds: float | None = None
    """How long `slow` and `stall` wait and what a 429 asks for; by default what the kind says."""

    def __post_init__(self) -> None:
        """Refuse a fault or a table that does not exist."""
        _check("fault", self.name, KINDS)
        if self.table is not None:
            _check("table", self.table, TABLES)

    @property
    def kind(self) -> Kind:
        """What the fault does."""
        return KINDS[self.name]

    def apply(self, reply: Reply) -> Reply:
        """Return what is sent instead of `reply`."""
        return self.kind.change(reply, self.kind.seconds if self.seconds is None else self.seconds)


@dataclass(frozen=True)
class Occasion:
    """A request and its place among all requests."""

    request: Request
    table: str
    number: int
    """Counted from 1 over all tables."""
    table_number: int
    """Counted from 1 over the requests of its table."""


class FaultBox:
    """The faults still to come."""

    def __init__(self) -> None:
        """Start without faults."""
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []

    def add(self, *faults: Fault) -> None:
        """Arm more faults; of several that are due, the first added strikes."""
        with self._lock:
            self._armed += [_Armed(fault) for fault in faults]

    def take(self, occasion: Occasion) -> Fault | None:
        """Return the fault that strikes now and count it as used."""
        with self._lock:
            for armed in self._armed:
                if armed.strikes(occasion):
                    return armed.fault
        return None


class _Armed:
    """A fault, how often it may still strike and its dice."""

    def __init__(self, fault: Fault) -> None:
        once = 1 if fault.chance is None else 0
        times = once if fault.times is None else fault.times
        self.fault = fault
        self._left = times or float("inf")
        self._random = random.Random(fault.seed)

    def strikes(self, occasion: Occasion) -> bool:
        chance = self.fault.chance
        if not self._left or not _is_due(self.fault, occasion):
            return False
        if chance is not None and self._random.random() >= chance:
            return False
        self._left -= 1
        return True


def parse_fault(text: str) -> Fault:
    """Return the fault written as `name` or `name:key=value,key=value`.

    Args:
        text: For example `half_line:day=2026-11-03`, `429:request=2,times=3` or
            `reset:chance=0.1,seed=7`.

    Raises:
        ValueError: An unknown name or key, with the valid ones, or a value that is none.
    """
    name, _, conditions = text.partition(":")
    given: dict[str, Any] = {}
    for condition in filter(None, conditions.split(",")):
        key, _, value = condition.partition("=")
        _check("condition", key.strip(), _READERS)
        try:
            given[key.strip()] = _READERS[key.strip()](value.strip())
        except ValueError:
            raise ValueError(f"{value!r} is no value for {key.strip()} in {text!r}") from None
    return Fault(name.strip(), **given)


_READERS: dict[str, Callable[[str], Any]] = {
    "day": date.fromisoformat,
    "table": str,
    "page": int,
    "request": int,
    "chance": float,
    "seed": int,
    "times": int,
    "seconds": float,
}


def _check(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; valid are {', '.join(sorted(known))}")


def _is_due(fault: Fault, occasion: Occasion) -> bool:
    params = occasion.request.params
    number = occasion.table_number if fault.table else occasion.number
    return (
        occasion.table in fault.kind.tables
        and fault.table in {None, occasion.table}
        and (occasion.request.accepts_gzip or not fault.kind.needs_gzip)
        and (bool(params.get("session_id")) or not fault.kind.expires_sessions)
        and (fault.request is None or number >= fault.request)
        and (fault.page is None or _asks_page(fault.page, occasion))
        and (fault.day is None or _asks_day(fault.day, params))
    )


def _asks_page(page: int, occasion: Occasion) -> bool:
    return occasion.table == "engage" and occasion.request.params.get("page", "0") == str(page)


def _asks_day(day: date, params: dict[str, str]) -> bool:
    if "from_date" not in params or "to_date" not in params:
        return False
    return params["from_date"] <= day.isoformat() <= params["to_date"]
