"""When requests may be sent: all clients wait together after a failure, and keep one pace.

Pure but for the clock.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from mixpanel_source.api.clock import Clock

from .. import constants
from ..errors import SendingPausedError


class Gate:
    """Closed for all clients after a failure of one, for 2 s and then twice as long up to 60 s.

    Many requests may be under way when Mixpanel begins to refuse. Those that were sent before the
    gate was closed do not close it again, so that one disturbance counts once.
    """

    def __init__(
        self, clock: Clock, *, jitter: Callable[[float, float], float] = random.uniform
    ) -> None:
        """Start open."""
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._opens_at = 0.0
        self._failing_since: float | None = None
        self._step = 0
        self._wait_s = constants.BACKOFF_SECONDS
        self.waits: list[float] = []
        """Seconds of each closing."""

    def wait(self, stop: Callable[[], None]) -> int:
        """Wait until the gate is open.

        Args:
            stop: called before and after each wait; raises if sending is to end.

        Returns:
            What `succeeded` and `failed` need to know about this try.
        """
        while True:
            stop()
            with self._lock:
                wait_s = self._opens_at - self._clock.time()
                if wait_s <= 0:
                    return self._step
            self._clock.sleep(wait_s)

    def succeeded(self) -> None:
        """Note that Mixpanel answered a request, with whatever it had to say."""
        with self._lock:
            self._failing_since = None
            self._wait_s = constants.BACKOFF_SECONDS

    def failed(self, step: int, *, why: str, retry_after_s: float = 0.0) -> None:
        """Close the gate after a failed try.

        Args:
            step: what `wait` returned for the try.
            why: the failure, for the message.
            retry_after_s: seconds that Mixpanel asked to wait; 0 if it did not.

        Raises:
            SendingPausedError: nothing has succeeded for `constants.PATIENCE_SECONDS`.
        """
        with self._lock:
            now = self._clock.time()
            if self._failing_since is None:
                self._failing_since = now
            if step == self._step:
                self._close(now, retry_after_s)
            if self._opens_at > self._failing_since + constants.PATIENCE_SECONDS:
                minutes = (now - self._failing_since) / 60
                raise SendingPausedError(
                    f"{why} Nothing was accepted for {minutes:.0f} minutes. What was not sent is "
                    "kept: run the same command again later."
                )

    def _close(self, now: float, retry_after_s: float) -> None:
        # the random part keeps processes that failed together from returning together
        wait_s = max(self._wait_s + self._jitter(0.0, constants.JITTER_SECONDS), retry_after_s)
        self._opens_at = now + wait_s
        self._step += 1
        self._wait_s = min(2 * self._wait_s, constants.BACKOFF_SECONDS_MAX)
        self.waits.append(wait_s)


class Pace:
    """Spreads rows and bytes evenly over time, for all clients together."""

    def __init__(self, rows_per_second: int, clock: Clock) -> None:
        """Keep a pace.

        Args:
            rows_per_second: 0 for no limit. The limit of bytes has the same share of Mixpanel's.
            clock: the time, and how to wait.
        """
        self._clock = clock
        self._rows_per_s = float(rows_per_second)
        share = rows_per_second / constants.EVENTS_PER_SECOND
        self._bytes_per_s = constants.BYTES_PER_MINUTE / 60 * share
        self._lock = threading.Lock()
        self._next_at = 0.0

    def wait(self, *, rows: int, size: int) -> None:
        """Wait until a request of this many rows and bytes may be sent."""
        if not self._rows_per_s:
            return
        with self._lock:
            now = self._clock.time()
            starts_at = max(now, self._next_at)
            self._next_at = starts_at + max(rows / self._rows_per_s, size / self._bytes_per_s)
        if starts_at > now:
            self._clock.sleep(starts_at - now)
