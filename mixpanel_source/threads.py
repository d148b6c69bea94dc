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
from typing import TypeVar

import pyarrow as pa

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


def release_memory() -> None:
    """Give the system back what was freed, where the allocators of arrow and C keep it."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
