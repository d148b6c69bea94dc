"""The next window is fetched while the one before it is decoded and loaded.

One thread, one window, so there is still one request at a time; what it fetches waits in the spool
and in memory until it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Generic, TypeVar

from ..decode.parallel import Task

Check = Callable[[], None]
"""Called now and then by work that may be given up; raises to end it."""

Work = TypeVar("Work")
Result = TypeVar("Result")


class StoppedError(Exception):
    """Ends the work of a thread that nobody waits for any more."""


class Prefetch(Generic[Work, Result]):
    """Work that is done on a thread of its own, until its result is taken."""

    def __init__(self, work: Work, do: Callable[[Work, Check], Result]) -> None:
        """Begin.

        Args:
            work: what to do.
            do: does it; calls its second argument now and then, which raises to end it early.
        """
        self.work = work
        self._stopped = Event()
        self._task = Task(lambda: do(work, self._check), name="mixpanel-fetch")

    def result(self) -> Result:
        """Wait for the result, or raise what the work ended with."""
        return self._task.result()

    def cancel(self) -> None:
        """End the work as soon as may be, and wait until it has ended."""
        self._stopped.set()
        self._task.join()

    def _check(self) -> None:
        if self._stopped.is_set():
            raise StoppedError
