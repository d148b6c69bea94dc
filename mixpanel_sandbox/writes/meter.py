"""The limit of events and bytes that may be imported in a minute.

Source: https://developer.mixpanel.com/reference/import-events
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ..messages import Request, api_error

MINUTE_S = 60
ERROR = "Project exceeded rate limits. Please retry the request with exponential backoff."


class IngestionMeter:
    """Counts what was written in the last minute, or another span."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        events: int | None,
        bytes_: int | None = None,
        span_s: float = MINUTE_S,
    ) -> None:
        """Start empty.

        Args:
            clock: Returns epoch seconds.
            events: Maximum events in the span; None is unlimited.
            bytes_: Maximum uncompressed bytes in the span; None is unlimited.
            span_s: Seconds of the rolling span.
        """
        self._clock = clock
        self._span_s = span_s
        self._limits = events, bytes_
        self._lock = threading.Lock()
        self._batches: deque[tuple[float, int, int]] = deque()

    def count(self, events: int, size: int, request: Request) -> None:
        """Count a batch.

        Raises:
            ApiError: 429, a limit is exceeded; the batch is not counted.
        """
        with self._lock:
            now = self._clock()
            while self._batches and self._batches[0][0] <= now - self._span_s:
                self._batches.popleft()
            used = [sum(batch[part] for batch in self._batches) for part in (1, 2)]
            for limit, total in zip(self._limits, (used[0] + events, used[1] + size), strict=True):
                if limit is not None and total > limit:
                    raise api_error(429, ERROR, request)
            self._batches.append((now, events, size))
