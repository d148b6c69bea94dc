"""Decides which rows of a reply belong to the window that was requested.

A row whose own day lies outside the window is kept if Mixpanel files it under a day of the window,
for instance because the time zone of the project was changed. It is dropped if the reply is not
limited to the window: then the window of its own day has it as well, and each window would store it
once more. The two are distinguished by requesting the own day of such rows, once per run.
"""

from __future__ import annotations

import logging
from datetime import date
from typing import NamedTuple

import numpy as np

from ...decode.index.strays import Strays, find_strays
from ...errors import AuthError, RequestError
from ...windows import Window, newest_day
from ..context import LoadContext
from .downloads import EventDownloads
from .fetching import FetchedWindow

logger = logging.getLogger("mixpanel_source")

OLDEST_DAY = date(2000, 1, 1)
"""Mixpanel refuses older days."""


class Filed(NamedTuple):
    """The outcome for one window."""

    rows_outside: int = 0
    """Rows dropped because another window has them."""
    has_strays: bool = False
    """Whether a row is kept whose own day lies outside the window."""


class Filer:
    """Files the rows of windows under their days."""

    def __init__(self, context: LoadContext, downloads: EventDownloads) -> None:
        """Prepare.

        Args:
            context: of the run, whose `window_requests` remember what was found.
            downloads: fetch the own day of rows.
        """
        self._context = context
        self._downloads = downloads

    def file(self, window: Window, fetched: FetchedWindow) -> Filed:
        """Drop the rows that belong to other windows, and file the others under days of this one.

        Raises:
            MixpanelError: the own day of rows had to be requested, and that failed.
        """
        index = fetched.verified.index
        index.window = window
        strays = find_strays(index, window)
        if not len(strays):
            return Filed()
        requestable = self._requestable()
        if not self._serves_other_days(fetched, strays, requestable):
            return Filed(has_strays=True)
        dropped = strays.served_elsewhere(index, window, requestable)
        index.drop(dropped)
        return Filed(rows_outside=len(dropped))

    def _requestable(self) -> Window:
        config = self._context.config
        newest = newest_day(self._context.now(), zone=config.project_timezone, include_today=True)
        return Window(OLDEST_DAY, newest)

    def _serves_other_days(
        self, fetched: FetchedWindow, strays: Strays, requestable: Window
    ) -> bool:
        """Whether replies are not limited to their windows."""
        requests = self._context.window_requests
        day = strays.most_frequent_day(requestable)
        if requests.serves_other_days is None and day is not None:
            requests.serves_other_days = self._is_served_by(day, fetched, strays)
        return bool(requests.serves_other_days)

    def _is_served_by(self, day: date, fetched: FetchedWindow, strays: Strays) -> bool:
        try:
            own = self._downloads.take(Window(day, day), reuse=True).verified
        except AuthError:
            raise
        except RequestError as refusal:
            # such as a day past the retention: then no other window has its rows either
            logger.debug("export %s: not served: %s", day, refusal)
            return False
        own.blocks.clear()
        wanted = fetched.verified.index.first_words(strays.of_day(day))
        return bool(np.isin(wanted, own.index.first_words(own.index.present())).any())
