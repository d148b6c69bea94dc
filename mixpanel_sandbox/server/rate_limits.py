"""Mixpanel's rate limits: requests per hour, minute and second, and concurrent requests.

Source: https://developer.mixpanel.com/reference/rate-limits
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ..messages import ApiError, Request, json_response

HOUR_S = 3600
MINUTE_S = 60
CONCURRENT_EXPORTS = 100
CONCURRENCY_RETRY_S = 10
DOCUMENTATION = (
    "For more information, please consult our documentation at "
    "https://developer.mixpanel.com/reference/rate-limits"
)
EXPORT_ERROR = "too many export requests in progress for this project"
_SPANS = {HOUR_S: "hour", MINUTE_S: "minute", 1: "second"}


@dataclass(frozen=True)
class Limits:
    """Limits of a family of endpoints; 0 and None are unlimited."""

    per_hour: int | None
    concurrent: int | None
    per_second: int | None = None
    per_minute: int | None = None

    def per(self, span_s: int) -> int | None:
        """Return the maximum requests in a span of 3600, 60 or 1 seconds."""
        return {HOUR_S: self.per_hour, MINUTE_S: self.per_minute, 1: self.per_second}[span_s]


@dataclass(frozen=True)
class _Exceeded:
    """A limit that a request would exceed."""

    description: str
    """As in the error message."""
    wait_s: int
    """Seconds until the request would be within the limit."""
    is_concurrency: bool = False
    """Whether it is the limit of concurrent requests."""


class RateLimiter:
    """Counts the requests of each family of endpoints and rejects those beyond a limit."""

    def __init__(
        self, limits: Mapping[str, Limits], *, clock: Callable[[], float], headers: bool
    ) -> None:
        """Start with no requests counted.

        Args:
            limits: Limits by family, such as `query` and `export`.
            clock: Returns epoch seconds.
            headers: Whether a 429 has `Retry-After` and `RateLimit` headers.
        """
        self._limits = limits
        self._clock = clock
        self._headers = headers
        self._lock = threading.Lock()
        self._calls: dict[str, deque[float]] = {family: deque() for family in limits}
        self._running: Counter[str] = Counter()

    @contextmanager
    def slot(self, family: str, request: Request, *, metered: bool) -> Iterator[None]:
        """Count a request as running inside the context.

        Args:
            family: Families without limits always pass.
            request: Echoed in the error.
            metered: Whether the request counts towards the limits over time; it always counts as
                running.

        Raises:
            ApiError: 429, a limit is exceeded; the request is not counted.
        """
        if family not in self._limits:
            yield
            return
        with self._lock:
            exceeded = self._find_exceeded(family, metered=metered)
            if exceeded is not None:
                raise self._error(family, request, exceeded)
            self._running[family] += 1
            if metered:
                self._calls[family].append(self._clock())
        try:
            yield
        finally:
            with self._lock:
                self._running[family] -= 1

    def _find_exceeded(self, family: str, *, metered: bool) -> _Exceeded | None:
        now, limits, calls = self._clock(), self._limits[family], self._calls[family]
        while calls and calls[0] <= now - HOUR_S:
            calls.popleft()
        running = self._running[family]
        if limits.concurrent and running >= limits.concurrent:
            used = f"concurrency limit ({running + 1}/{limits.concurrent} queries running"
            return _Exceeded(f"{used} concurrently)", CONCURRENCY_RETRY_S, is_concurrency=True)
        if not metered:
            return None
        for span, name in _SPANS.items():
            limit = limits.per(span)
            recent = [call for call in calls if call > now - span] if limit else []
            if limit and len(recent) >= limit:
                used = f"rate limit ({len(recent) + 1}/{limit} queries running in the last {name})"
                return _Exceeded(used, math.ceil(recent[-limit] + span - now))
        return None

    def _error(self, family: str, request: Request, exceeded: _Exceeded) -> ApiError:
        project_id = request.path_params.get("project_id") or request.params.get("project_id")
        error = (
            f"Query rate limit exceeded for project_id: {project_id}. "
            f"This request exceeded the {exceeded.description}. {DOCUMENTATION}"
        )
        body = {"request": request.target, "error": error}
        if family == "export":
            body = {"error": EXPORT_ERROR}
        elif family == "lexicon":
            body = {"status": "error", "error": error}
        headers = self._describe(family, exceeded) if self._headers else None
        return ApiError(json_response(body, 429, headers=headers))

    def _describe(self, family: str, exceeded: _Exceeded) -> dict[str, str]:
        """Return the headers of a 429."""
        limits = self._limits[family]
        policy, left = [], []
        span = HOUR_S if limits.per_hour else MINUTE_S
        limit = limits.per(span)
        if limit:
            policy.append(f'"project";q={limit};w={span}')
            until = "" if exceeded.is_concurrency else f";t={exceeded.wait_s}"
            used = sum(call > self._clock() - span for call in self._calls[family])
            left.append(f'"project";r={limit - used}{until}')
        if limits.concurrent:
            policy.append(f'"project-concurrency";q={limits.concurrent};qu="concurrent-requests"')
            until = f";t={exceeded.wait_s}" if exceeded.is_concurrency else ""
            free = limits.concurrent - self._running[family]
            left.append(f'"project-concurrency";r={free}{until}')
        return {
            "RateLimit-Policy": ", ".join(policy),
            "RateLimit": ", ".join(left),
            "Retry-After": str(exceeded.wait_s),
        }
