"""Ctrl-C and SIGTERM: the first cancels a job, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from threading import Event, current_thread, main_thread
from types import FrameType
from typing import TypeVar

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
    before_exit: Callable[[], None],
) -> T:
    """Run a job on its own thread, and cancel it on Ctrl-C or SIGTERM.

    On the main thread dlt would handle the signals itself and drop the package that it is loading;
    on another thread it leaves them alone.

    Args:
        job: what to run; it ends soon after the event is set.
        on_cancel: called when the first signal arrives.
        before_exit: called before a second signal ends the process, to restore the terminal.
    """
    cancelled = Event()
    if current_thread() is not main_thread():
        return job(cancelled)

    def handle(_number: int, _frame: FrameType | None) -> None:
        if cancelled.is_set():
            try:
                before_exit()
            finally:
                # Safe at any time: a package that is not loaded completely does not count. Whatever
                # went wrong: the first signal may still be writing to the terminal.
                os._exit(INTERRUPTED)
        cancelled.set()
        on_cancel()

    handlers = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        task = Task(lambda: job(cancelled), name="mixpanel-job")
        while task.is_alive():
            # Python handles signals only between waits of the main thread
            task.join(POLL_SECONDS)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return task.result()
