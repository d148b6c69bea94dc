"""Leaves out days that Mixpanel does not serve, and continues with those that it does.

It refuses days before the project's retention, and days that are yet to come, which a clock that is
ahead may have planned.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date

from ...errors import AccessError, MixpanelError, RequestError
from ...windows import DAY, Window, WindowQueue, newest_day
from ..context import LoadContext
from .downloads import EventDownloads
from .retention import first_served_day, oldest_day

logger = logging.getLogger("mixpanel_source")


class ServedDays:
    """Removes days from a queue of windows."""

    def __init__(
        self,
        context: LoadContext,
        downloads: EventDownloads,
        queue: WindowQueue,
        days: Sequence[date],
    ) -> None:
        """Prepare.

        Args:
            context: of the run.
            downloads: request single days.
            queue: of the days.
            days: all that were planned.
        """
        self._context = context
        self._downloads = downloads
        self._queue = queue
        self._days = days

    def discard_future(self) -> None:
        """Remove days after Mixpanel's yesterday: its replies state what day it is there."""
        for day in filter(self._is_future, self._days):
            self._queue.discard(Window(day, day))

    def leave_out(self, window: Window, failure: MixpanelError) -> bool:
        """Whether to continue without the days of a window that Mixpanel does not serve.

        Args:
            window: that was requested; what is served of it goes back into the queue.
            failure: of the request.
        """
        if isinstance(failure, AccessError) and failure.history_days is not None:
            return self._begin_later(window, failure, failure.history_days)
        if type(failure) is RequestError and self._is_future(window.last):
            self.discard_future()
            return True
        return False

    def _begin_later(self, window: Window, failure: AccessError, history_days: int) -> bool:
        first = first_served_day(
            window.first,
            self._days,
            stated=oldest_day(self._context.now().date(), history_days),
            is_served=self._is_served,
        )
        if first is None:
            return False
        logger.warning(
            "%s Loading from %s on; set anchor_date = %s to leave out older days.",
            failure,
            first,
            first,
        )
        self._queue.put_back(window)
        self._queue.discard(Window(min(self._days), first - DAY))
        return True

    def _is_served(self, day: date) -> bool:
        try:
            self._downloads.take(Window(day, day), reuse=True)
        except AccessError as failure:
            if failure.history_days is None:
                raise
            return False
        return True

    def _is_future(self, day: date) -> bool:
        config = self._context.config
        newest = newest_day(
            self._context.now(), zone=config.project_timezone, include_today=config.include_today
        )
        return day > newest
