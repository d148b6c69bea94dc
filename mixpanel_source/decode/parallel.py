"""Work spread over threads, its results in order.

Worth it for what leaves Python: compiled code, arrow, decompression.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_ahead(
    do: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """Yields what `do` makes of each item, in order, at most `workers` + 1 of them ahead.

    Args:
        do: the work.
        items: taken on the caller's thread.
        workers: threads; with one the work is done on the caller's thread, when it is asked for.
    """
    if workers == 1:
        yield from map(do, items)
        return
    with ThreadPoolExecutor(workers, "mixpanel-decode") as pool:
        under_way: deque[Future[Result]] = deque()
        for item in items:
            under_way.append(pool.submit(do, item))
            if len(under_way) > workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


class Task(Thread, Generic[Result]):
    """Work on a thread of its own, begun at once."""

    def __init__(self, do: Callable[[], Result], *, name: str) -> None:
        """Begin.

        Args:
            do: the work.
            name: of the thread.
        """
        # a daemon: it must not keep a process from ending that a user has interrupted
        super().__init__(name=name, daemon=True)
        self._do = do
        self._value: Result
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Do the work; called on the thread itself."""
        try:
            self._value = self._do()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error

    def result(self) -> Result:
        """Wait for the result, or raise what the work ended with."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._value


def release_memory() -> None:
    """Give the system back what was freed, where the allocators of arrow and C keep it."""
    import pyarrow as pa  # noqa: PLC0415 - the rest of this module does without

    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
