"""The next window is fetched while the one before it is decoded and loaded.

One thread, one window, so there is still one request at a time; what it fetches waits in the spool
and in memory until it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

Check = Callable[[], None]
"""Called now and then by work that may be given up; raises to end it."""

Work = TypeVar("Work")
Result = TypeVar("Result")


class StoppedError(Exception):
    """Ends the work of a thread that nobody waits for any more."""


class Ahead(Generic[Work, Result]):
    """Work that is done on a thread of its own, until its result is taken."""

    def __init__(self, work: Work, do: Callable[[Work, Check], Result]) -> None:
        """Begin.

        Args:
            work: what to do.
            do: does it; calls its second argument now and then, which raises to end it early.
        """
        self.work = work
        self._do = do
        self._result: Result
        self._error: BaseException | None = None
        self._stopped = Event()
        # a daemon: it must not keep a process from ending that a user has interrupted
        self._thread = Thread(target=self._run, name="mixpanel-fetch", daemon=True)
        self._thread.start()

    def take(self) -> Result:
        """Wait for the result, or raise what the work ended with."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result

    def stop(self) -> None:
        """End the work as soon as may be, and wait until it has ended."""
        self._stopped.set()
        self._thread.join()

    def _check(self) -> None:
        if self._stopped.is_set():
            raise StoppedError

    def _run(self) -> None:
        try:
            self._result = self._do(self.work, self._check)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where it counts
            self._error = error
