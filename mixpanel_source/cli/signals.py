"""Ctrl-C and SIGTERM: the first cancels a job, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from threading import Event, current_thread, main_thread
from types import FrameType
from typing import Any, TypeVar

from ..decode.parallel import Task
from .exit_codes import INTERRUPTED

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
POLL_SECONDS = 0.1


class CancellableClock:
    """The system clock, whose waits end as soon as the job is cancelled."""

    def __init__(self, cancelled: Event) -> None:
        """Wait only until `cancelled` is set."""
        self._cancelled = cancelled

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait, or return early if cancelled."""
        self._cancelled.wait(seconds)


def run_cancellable(
    job: Callable[[Event], T],
    *,
    on_cancel: Callable[[], None],
    before_exit: Callable[[], None] = lambda: None,
) -> T:
    """Run a job on its own thread, and cancel it on Ctrl-C or SIGTERM.

    On the main thread dlt would handle the signals itself and drop the package that it is loading;
    on another thread it leaves them alone.

    Args:
        job: what to run; it ends soon after the event is set.
        on_cancel: called after the first signal, on a thread of its own.
        before_exit: called before a second signal ends the process, to restore the terminal. It
            must not wait for a lock: the code that the signal interrupted may hold it.
    """
    cancelled = Event()
    if current_thread() is not main_thread():
        return job(cancelled)
    signals = 0

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            cancelled.set()
            return
        try:
            before_exit()
        finally:
            # Safe at any time: a package that is not loaded completely does not count.
            os._exit(INTERRUPTED)

    handlers = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        # The main thread does nothing but wait, as Python handles signals between its waits only:
        # were it to write to a terminal that is stopped, there would be no second signal.
        task = Task(lambda: job(cancelled), name="mixpanel-job")
        tasks: list[Task[Any]] = [task]
        while running := [task for task in tasks if task.is_alive()]:
            running[0].join(POLL_SECONDS)
            if signals and len(tasks) == 1:
                tasks.append(Task(on_cancel, name="mixpanel-cancel"))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return task.result()
