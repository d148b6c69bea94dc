"""Time in tests: a clock that tests control, and waiting in real time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime, timezone

DAY_S = 86_400
TIMEOUT_S = 40.0


def noon(day: date) -> float:
    """Return noon UTC of a day in epoch seconds."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc).timestamp()


NOON = noon(date(2026, 11, 21))


class Clock:
    """A clock that stands still until someone sleeps, which takes no real time, or advances it."""

    def __init__(self, now: float = NOON) -> None:
        """Start at a time in epoch seconds."""
        self.now = now
        self.sleeps: list[float] = []
        """Lengths of all sleeps, in seconds."""

    def time(self) -> float:
        """Return epoch seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Record the sleep and move the time forward at once."""
        self.sleeps.append(seconds)
        self.now += seconds

    def advance(self, *, days: float = 0, seconds: float = 0) -> None:
        """Move the time forward."""
        self.now += days * DAY_S + seconds


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait in real time until the condition holds, at most `TIMEOUT_S` seconds."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.002)
