"""Lets one request of a project through at a time: over threads, processes and machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from .clock import Clock
from .rate_limit import Pace
from .request import Request
from .request_log import RequestLog

POLL_S = 0.05
"""Seconds between two looks whether another process has got its answer."""


class Turn:
    """Whether a request may be sent now; if so, nobody else sends until the turn ends."""

    def __init__(self, gate: Gate, request: Request, now: float, *, is_taken: bool) -> None:
        """Find out when the request may start.

        Args:
            gate: that the request passes.
            request: to be sent.
            now: seconds since the epoch.
            is_taken: whether another process has the turn.
        """
        self._gate = gate
        self._request = request
        self.now = now
        self.is_taken = is_taken
        if is_taken:
            self.at = self.paced_at = now + POLL_S
            return
        self.at = gate.pace.next_at(request.quota, now, metered=request.metered)
        """When the request may start."""
        self.paced_at = gate.pace.next_at(request.quota, now, metered=False)
        """When it might start if it were not metered."""

    @property
    def is_open(self) -> bool:
        """Whether the request may start now."""
        return not self.is_taken and self.at <= self.now

    def record(self) -> None:
        """Log the request, which is about to be sent."""
        self._gate.pace.record(self._request.quota, self.now, metered=self._request.metered)
        self._gate.save()

    def settle(
        self, at: float, *, counts: bool, limit: int | None = None, closed_until: float = 0
    ) -> None:
        """Log what came of the request.

        Args:
            at: when Mixpanel had answered, or the attempt had failed.
            counts: whether Mixpanel counts the request.
            limit: requests per hour that Mixpanel states; None if it does not.
            closed_until: before which Mixpanel accepts no other; 0 if it says nothing of it.
        """
        pace, quota = self._gate.pace, self._request.quota
        # only now is it certain that Mixpanel has the request: the next must not arrive too soon
        pace.usage.latest = at
        if self._request.metered:
            pace.settle(quota, self.now, at, counts=counts)
            pace.close(quota, closed_until)
            if limit is not None:
                pace.usage.limits[quota] = limit
        self._gate.save()


class Gate:
    """The way to Mixpanel for the requests of one project.

    Args:
        pace: when a request may start.
        log: what the project has used.
        clock: the time.
    """

    def __init__(self, pace: Pace, log: RequestLog, clock: Clock) -> None:
        self.pace = pace
        self._log = log
        self._clock = clock
        self._threads = Lock()

    @contextmanager
    def try_turn(self, request: Request) -> Iterator[Turn]:
        """Take the turn if a request may start now; never waits, except for threads of a process.

        Raises:
            MixpanelError: the log cannot be used.
        """
        with self._threads, self._log.hold() as usage:
            now = self._clock.time()
            if usage is None:
                yield Turn(self, request, now, is_taken=True)
                return
            self.pace.usage = usage
            was_ahead = usage.latest > now
            turn = Turn(self, request, now, is_taken=False)
            if was_ahead:
                # the clock was set back: the wait that begins now must not begin anew with each try
                self.save()
            yield turn

    def close(self, request: Request, until: float) -> None:
        """Let no metered request of the same quota start before `until`, if nobody has the turn."""
        with self.try_turn(request) as turn:
            if not turn.is_taken:
                self.pace.close(request.quota, until)
                self.save()

    def refresh(self) -> None:
        """Take up what other processes have logged."""
        self.pace.usage = self._log.read()

    def save(self) -> None:
        """Store what was used; only within a turn."""
        self._log.write(self.pace.usage)
