"""Ctrl-C: the first ends a job where nothing is half done, the second at once."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from threading import Event, current_thread, main_thread
from types import FrameType
from typing import TypeVar

from ..decode.parallel import Task
from .exit_codes import INTERRUPTED

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOK_SECONDS = 0.1


class StoppableClock:
    """The time; a wait ends as soon as the job is to stop."""

    def __init__(self, stop: Event) -> None:
        """Wait at most until `stop` is set."""
        self._stop = stop

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._stop.wait(seconds)


def run_stoppably(
    job: Callable[[Event], T], *, ask: Callable[[], None], restore: Callable[[], object] = bool
) -> T:
    """Run a job on a thread of its own, and have Ctrl-C and SIGTERM stop it.

    dlt takes over the signals of the main thread while it loads, and gives up what it is loading;
    on another thread it leaves them to us.

    Args:
        job: what to run; it ends soon after the event is set.
        ask: called once the job was asked to stop.
        restore: called before the process ends at once, for what would outlive it on a terminal.
    """
    stop = Event()
    if current_thread() is not main_thread():
        return job(stop)

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            restore()
            # whatever is under way: nothing that is half done counts
            os._exit(INTERRUPTED)
        stop.set()
        ask()

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        work = Task(lambda: job(stop), name="mixpanel-job")
        while work.is_alive():
            # a join without an end would let no signal through
            work.join(LOOK_SECONDS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return work.result()


def say_stopping() -> None:
    """Tell that the first Ctrl-C was heard."""
    print(
        "stopping: what was fetched is being loaded. Press Ctrl-C again to end at once.",
        file=sys.stderr,
        flush=True,
    )
