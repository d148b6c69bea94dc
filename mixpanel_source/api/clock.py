"""Time as the package uses it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """The current time and how to wait; the module `time` is one, tests bring their own."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
