"""What the requests for windows of one run share: their sizes, their retries and the prefetch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..api.client import Client
from ..api.retry import RetryBudget
from ..config.model import Config
from ..decode.parallel import Check, Prefetch
from ..windows import Window, WindowQueue, WindowSizer
from .events.day_parts import DaySplitter


class WindowRequests:
    """Sizes windows, keeps the retry budget of each, and holds the windows being prefetched."""

    def __init__(self, config: Config, client: Client, *, ahead: int = 1) -> None:
        """Start with nothing requested.

        Args:
            config: the settings.
            client: makes the requests.
            ahead: number of windows to prefetch.
        """
        self.ahead = ahead
        self.sizer = WindowSizer(config.window_days)
        """Decides how many days a request covers; learns over all packages."""
        self.splitter = DaySplitter(config.split_days_above)
        """Decides into how many parts a day is cut; learns over all packages."""
        self.serves_other_days: bool | None = None
        """Whether replies have rows of days that were not requested; None if not known."""
        self._client = client
        self._retries = config.retries
        self._budgets: dict[Window, RetryBudget] = {}
        self._prefetches: dict[Window, Prefetch[Window, Any]] = {}

    def budget(self, window: Window) -> RetryBudget:
        """The retries of a window, which its halves share."""
        if window not in self._budgets:
            self._budgets[window] = self._client.new_budget()
        return self._budgets[window]

    def max_tries(self) -> int:
        """Tries of a window, or of a part of a day, before it is halved."""
        return 2 if self._retries else 1

    def halve(self, window: Window, queue: WindowQueue) -> bool:
        """Put the halves of a window that failed back into the queue; False for a single day."""
        halves = window.halves()
        if halves is None:
            return False
        budget = self.budget(window)
        budget.note_halving()
        self._budgets |= dict.fromkeys(halves, budget)
        return queue.split(window)

    def start_prefetch(self, window: Window, fetch: Callable[[Window, Check], object]) -> None:
        """Begin to fetch a window on a thread of its own, unless that has begun."""
        if window not in self._prefetches:
            self._prefetches[window] = Prefetch(window, fetch)

    def take_prefetch(self, window: Window) -> Prefetch[Window, Any] | None:
        """The prefetch of a window, or None.

        If windows are prefetched one at a time, another is cancelled so that a request may be made.
        """
        prefetch = self._prefetches.pop(window, None)
        if prefetch is None and self.ahead == 1:
            self.cancel_prefetch()
        return prefetch

    def cancel_prefetch(self) -> None:
        """Give up the windows being prefetched, so that another request may be made."""
        while self._prefetches:
            _, prefetch = self._prefetches.popitem()
            prefetch.cancel()
