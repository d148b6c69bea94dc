"""Work on other threads: many items with the results in order, or one result prefetched.

Pure. Threads help where the work leaves Python: compiled code, arrow, decompression, the network.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")
Work = TypeVar("Work")
Result = TypeVar("Result")

Check = Callable[[], None]
"""Called now and then by work that may be cancelled; raises `CancelledError` to end it."""


class CancelledError(Exception):
    """Ends prefetched work whose result is no longer wanted."""


def available_processors() -> int:
    """The number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_ahead(
    do: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """Yields the result of each item, in order; at most `workers` + 1 of them are computed ahead.

    Args:
        do: the work on one item.
        items: iterated on the caller's thread.
        workers: number of threads. With one, the work is done on the caller's thread, on demand.
    """
    if workers == 1:
        yield from map(do, items)
        return
    with ThreadPoolExecutor(workers, "mixpanel-decode") as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(do, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class Task(Thread, Generic[Result]):
    """Work on a thread of its own, started at once."""

    def __init__(self, do: Callable[[], Result], *, name: str) -> None:
        """Start the work.

        Args:
            do: the work.
            name: of the thread.
        """
        # a daemon: it must not keep an interrupted process alive
        super().__init__(name=name, daemon=True)
        self._do = do
        self._value: Result
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Do the work; called on the thread itself."""
        try:
            self._value = self._do()
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            self._error = error

    def result(self) -> Result:
        """Wait for the result, or raise the error that ended the work."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._value


class Prefetch(Generic[Work, Result]):
    """Work done on a thread of its own, before its result is needed.

    With one prefetch at a time there is still only one request at a time.
    """

    def __init__(self, work: Work, do: Callable[[Work, Check], Result]) -> None:
        """Start the work.

        Args:
            work: argument of `do`.
            do: the work; calls its second argument now and then, which raises once it is cancelled.
        """
        self.work = work
        self._cancelled = Event()
        self._task = Task(lambda: do(work, self._check), name="mixpanel-fetch")

    def result(self) -> Result:
        """Wait for the result, or raise the error that ended the work."""
        return self._task.result()

    def cancel(self) -> None:
        """End the work at its next check, and wait until it has ended."""
        self._cancelled.set()
        self._task.join()

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError
