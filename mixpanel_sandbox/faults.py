"""Fault injection: which fault is applied to which request."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

from .fault_kinds import KINDS, FaultKind
from .messages import Params, Request, Response
from .routes import TABLES


@dataclass(frozen=True)
class Fault:
    """A fault and the conditions under which it occurs, all of which must hold.

    Requests rejected for their credentials, the plan or a rate limit are counted but never faulty.
    """

    name: str
    """A key of `KINDS`."""
    day: date | None = None
    """Only exports whose date range includes this day."""
    table: str | None = None
    """Only requests for this table, a name in `TABLES`."""
    page: int | None = None
    """Only this page of profiles, counted from 0."""
    request: int | None = None
    """From the n-th request on, counted from 1: of the table if `table` is given, else overall."""
    chance: float | None = None
    """Probability, 0 to 1."""
    seed: int = 0
    """Random seed for `chance`."""
    times: int | None = None
    """Maximum occurrences; 0 is unlimited. Defaults to 1, or to unlimited if `chance` is given."""
    seconds: float | None = None
    """Seconds that `slow` and `stall` wait and that a 429 announces; default by kind."""

    def __post_init__(self) -> None:
        """Validate the names of the fault and of the table."""
        _check("fault", self.name, KINDS)
        if self.table is not None:
            _check("table", self.table, TABLES)

    @property
    def kind(self) -> FaultKind:
        """What the fault does."""
        return KINDS[self.name]

    def apply(self, response: Response) -> Response:
        """Return the faulty response to send instead of `response`."""
        seconds = self.kind.seconds if self.seconds is None else self.seconds
        return self.kind.change(response, seconds)


@dataclass(frozen=True)
class CountedRequest:
    """A request with its sequence numbers."""

    request: Request
    table: str
    number: int
    """Counted from 1 over all requests."""
    table_number: int
    """Counted from 1 over the requests for this table."""


class FaultInjector:
    """Chooses the fault of each request."""

    def __init__(self) -> None:
        """Start without faults."""
        self._lock = threading.Lock()
        self._pending: list[_PendingFault] = []

    def add(self, *faults: Fault) -> None:
        """Add faults; if several apply to a request, the one added first occurs."""
        with self._lock:
            self._pending += [_PendingFault(fault) for fault in faults]

    def take(self, counted: CountedRequest) -> Fault | None:
        """Return the fault of a request and count its occurrence."""
        with self._lock:
            for pending in self._pending:
                if pending.occurs(counted):
                    return pending.fault
        return None


class _PendingFault:
    """A fault with its remaining occurrences and its random number generator."""

    def __init__(self, fault: Fault) -> None:
        default_times = 1 if fault.chance is None else 0
        times = default_times if fault.times is None else fault.times
        self.fault = fault
        self._left = times or float("inf")
        self._random = random.Random(fault.seed)

    def occurs(self, counted: CountedRequest) -> bool:
        chance = self.fault.chance
        if not self._left or not _applies(self.fault, counted):
            return False
        if chance is not None and self._random.random() >= chance:
            return False
        self._left -= 1
        return True


def parse_fault(text: str) -> Fault:
    """Parse a fault written as `name` or `name:key=value,key=value`.

    Args:
        text: For example `half_line:day=2026-11-03`, `429:request=2,times=3` or
            `reset:chance=0.1,seed=7`.

    Raises:
        ValueError: An unknown name or key (the message lists the valid ones), or an invalid value.
    """
    name, _, conditions = text.partition(":")
    given: dict[str, Any] = {}
    for condition in filter(None, conditions.split(",")):
        key, _, value = condition.partition("=")
        _check("condition", key.strip(), _PARSERS)
        try:
            given[key.strip()] = _PARSERS[key.strip()](value.strip())
        except ValueError:
            raise ValueError(f"invalid value {value!r} for {key.strip()} in {text!r}") from None
    return Fault(name.strip(), **given)


_PARSERS: dict[str, Callable[[str], Any]] = {
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


def _applies(fault: Fault, counted: CountedRequest) -> bool:
    params = counted.request.params
    number = counted.table_number if fault.table else counted.number
    return (
        counted.table in fault.kind.tables
        and fault.table in {None, counted.table}
        and (counted.request.accepts_gzip or not fault.kind.needs_gzip)
        and (bool(params.get("session_id")) or not fault.kind.expires_sessions)
        and (fault.request is None or number >= fault.request)
        and (fault.page is None or _is_page(fault.page, counted))
        and (fault.day is None or _includes_day(fault.day, params))
    )


def _is_page(page: int, counted: CountedRequest) -> bool:
    return counted.table == "engage" and counted.request.params.get("page", "0") == str(page)


def _includes_day(day: date, params: Params) -> bool:
    if "from_date" not in params or "to_date" not in params:
        return False
    return params["from_date"] <= day.isoformat() <= params["to_date"]
