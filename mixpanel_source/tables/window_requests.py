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
    """Sizes windows, keeps the retry budget of each, and holds the window being prefetched."""

    def __init__(self, config: Config, client: Client) -> None:
        """Start with nothing requested."""
        self.sizer = WindowSizer(config.window_days)
        """Decides how many days a request covers; learns over all packages."""
        self.splitter = DaySplitter(config.split_days_above)
        """Decides into how many parts a day is cut; learns over all packages."""
        self.serves_other_days: bool | None = None
        """Whether replies have rows of days that were not requested; None if not known."""
        self._client = client
        self._retries = config.retries
        self._budgets: dict[Window, RetryBudget] = {}
        self._prefetch: Prefetch[Window, Any] | None = None

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
        """Begin to fetch a window on a thread of its own."""
        self._prefetch = Prefetch(window, fetch)

    def take_prefetch(self, window: Window) -> Prefetch[Window, Any] | None:
        """The prefetch of a window; any other is cancelled, so that a request may be made."""
        prefetch, self._prefetch = self._prefetch, None
        if prefetch is not None and prefetch.work != window:
            prefetch.cancel()
            return None
        return prefetch

    def cancel_prefetch(self) -> None:
        """Give up the window being prefetched, so that another request may be made."""
        if self._prefetch is not None:
            self._prefetch.cancel()
            self._prefetch = None
