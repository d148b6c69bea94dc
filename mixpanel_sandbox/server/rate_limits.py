"""Mixpanel's rate limits: how many calls in a time and at once a project may make.

Source: https://developer.mixpanel.com/reference/rate-limits
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ..messages import RefusedError, Request, json_reply

HOUR_S = 3600
MINUTE_S = 60
CONCURRENT_EXPORTS = 100
CONCURRENCY_RETRY_S = 10
CONSULT = (
    "For more information, please consult our documentation at "
    "https://developer.mixpanel.com/reference/rate-limits"
)
_SPANS = {HOUR_S: "hour", MINUTE_S: "minute", 1: "second"}
EXPORT_ERROR = "too many export requests in progress for this project"


@dataclass(frozen=True)
class Limits:
    """What one family of calls may do; 0 and None are no limit."""

    per_hour: int | None
    concurrent: int | None
    per_second: int | None = None
    per_minute: int | None = None

    def within(self, span_s: int) -> int | None:
        """Return how many calls there may be in an hour, a minute or a second."""
        return {HOUR_S: self.per_hour, MINUTE_S: self.per_minute, 1: self.per_second}[span_s]


@dataclass(frozen=True)
class _Trip:
    """A limit that was reached."""

    used: str
    """What the error says of it."""
    wait_s: int
    """Until it no longer is."""
    running: bool = False
    """Whether it is the limit of calls at once."""


class Quota:
    """Counts the calls of each family and refuses those over a limit."""

    def __init__(
        self, limits: Mapping[str, Limits], *, clock: Callable[[], float], headers: bool
    ) -> None:
        """Start with nothing used.

        Args:
            limits: Limits by family, such as `query` and `export`.
            clock: Epoch seconds.
            headers: Whether a 429 says when to try again.
        """
        self._limits = limits
        self._clock = clock
        self._headers = headers
        self._lock = threading.Lock()
        self._calls: dict[str, deque[float]] = {family: deque() for family in limits}
        self._running: Counter[str] = Counter()

    @contextmanager
    def call(self, family: str, request: Request, *, metered: bool) -> Iterator[None]:
        """Hold a place of `family` while its reply is made and sent.

        Args:
            family: A family without limits is let through.
            request: Echoed in the refusal.
            metered: Whether the call counts by time; it always counts as running.

        Raises:
            RefusedError: 429, a limit is reached; the call is not counted.
        """
        if family not in self._limits:
            yield
            return
        with self._lock:
            trip = self._find_trip(family, metered=metered)
            if trip is not None:
                raise self._refused(family, request, trip)
            self._running[family] += 1
            if metered:
                self._calls[family].append(self._clock())
        try:
            yield
        finally:
            with self._lock:
                self._running[family] -= 1

    def _find_trip(self, family: str, *, metered: bool) -> _Trip | None:
        now, limits, calls = self._clock(), self._limits[family], self._calls[family]
        while calls and calls[0] <= now - HOUR_S:
            calls.popleft()
        running = self._running[family]
        if limits.concurrent and running >= limits.concurrent:
            used = f"concurrency limit ({running + 1}/{limits.concurrent} queries running"
            return _Trip(f"{used} concurrently)", CONCURRENCY_RETRY_S, running=True)
        if not metered:
            return None
        for span, name in _SPANS.items():
            limit = limits.within(span)
            recent = [call for call in calls if call > now - span] if limit else []
            if limit and len(recent) >= limit:
                used = f"rate limit ({len(recent) + 1}/{limit} queries running in the last {name})"
                return _Trip(used, math.ceil(recent[-limit] + span - now))
        return None

    def _refused(self, family: str, request: Request, trip: _Trip) -> RefusedError:
        project_id = request.captured.get("project_id") or request.params.get("project_id")
        error = (
            f"Query rate limit exceeded for project_id: {project_id}. "
            f"This request exceeded the {trip.used}. {CONSULT}"
        )
        body = {"request": request.target, "error": error}
        if family == "export":
            body = {"error": EXPORT_ERROR}
        elif family == "lexicon":
            body = {"status": "error", "error": error}
        headers = self._describe(family, trip) if self._headers else None
        return RefusedError(json_reply(body, 429, headers=headers))

    def _describe(self, family: str, trip: _Trip) -> dict[str, str]:
        limits = self._limits[family]
        policy, left = [], []
        span = HOUR_S if limits.per_hour else MINUTE_S
        limit = limits.within(span)
        if limit:
            policy.append(f'"project";q={limit};w={span}')
            until = "" if trip.running else f";t={trip.wait_s}"
            used = sum(call > self._clock() - span for call in self._calls[family])
            left.append(f'"project";r={limit - used}{until}')
        if limits.concurrent:
            policy.append(f'"project-concurrency";q={limits.concurrent};qu="concurrent-requests"')
            until = f";t={trip.wait_s}" if trip.running else ""
            free = limits.concurrent - self._running[family]
            left.append(f'"project-concurrency";r={free}{until}')
        return {
            "RateLimit-Policy": ", ".join(policy),
            "RateLimit": ", ".join(left),
            "Retry-After": str(trip.wait_s),
        }
