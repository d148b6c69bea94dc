"""Reads windows of raw events, and with them what they cannot be told apart from.

See `loaded_windows` for why a window may have to be read together with other days.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import dlt

from ...catalog.tables import EXPORT
from ...errors import MixpanelError, ServerError, TruncatedError
from ...windows import Window, WindowQueue
from ..context import LoadContext
from .downloads import EventDownloads
from .fetching import FetchedWindow
from .filing import Filed, Filer
from .held_keys import holds_other_rows
from .ledger import Ledger

logger = logging.getLogger("mixpanel_source")


@dataclass(frozen=True)
class ReadWindow:
    """A window on disk whose rows are filed under its days."""

    window: Window
    fetched: FetchedWindow
    filed: Filed


@dataclass(frozen=True)
class Unit:
    """Windows that are loaded in one package or not at all: one, or several that adjoin."""

    parts: Sequence[ReadWindow]
    """Ascending."""

    @property
    def is_single(self) -> bool:
        """Whether it is one window."""
        return len(self.parts) == 1

    @property
    def span(self) -> Window:
        """All of its days."""
        return Window(self.parts[0].window.first, self.parts[-1].window.last)

    @property
    def has_strays(self) -> bool:
        """Whether a row is kept whose own day lies outside its window."""
        return any(part.filed.has_strays for part in self.parts)


class UnitReader:
    """Reads one unit after another."""

    def __init__(self, context: LoadContext, downloads: EventDownloads, ledger: Ledger) -> None:
        """Prepare.

        Args:
            context: of the run.
            downloads: fetch windows.
            ledger: which days were read together.
        """
        self._requests = context.window_requests
        self._downloads = downloads
        self._ledger = ledger
        self._filer = Filer(context, downloads)

    def read(self, window: Window, queue: WindowQueue) -> Unit | MixpanelError:
        """The unit of a window; or why the window cannot be read, for its caller to read less.

        Args:
            window: to read.
            queue: days that are read with it are removed from here.

        Raises:
            MixpanelError: something else failed than the request for the window.
        """
        try:
            fetched = self._downloads.take(window)
        except (ServerError, TruncatedError) as failure:
            return failure
        main = ReadWindow(window, fetched, self._filer.file(window, fetched))
        rests = self._ledger.windows.rests_to_read(
            window,
            has_strays=main.filed.has_strays,
            lost_rows=partial(
                holds_other_rows, dlt.current.pipeline(), EXPORT, fetched.verified.index
            ),
        )
        if not rests:
            return Unit([main])
        logger.info("export %s: reading %s as well", window, ", ".join(map(str, rests)))
        others = [part for rest in rests for part in self._read_rest(rest)]
        for part in others:
            queue.discard(part.window)
        return Unit(sorted([main, *others], key=lambda part: part.window))

    def _read_rest(self, rest: Window) -> list[ReadWindow]:
        """The days of a window, in as many requests as they take."""
        queue = WindowQueue(rest.days, self._requests.sizer)
        parts = []
        while queue:
            window = queue.next()
            try:
                fetched = self._downloads.take(window)
            except (ServerError, TruncatedError) as failure:
                if not self._requests.halve(window, queue):
                    raise
                logger.warning("%s Trying fewer days at once.", failure)
                continue
            # read again from disk when it is loaded: memory is for one window
            fetched.verified.blocks.clear()
            parts.append(ReadWindow(window, fetched, self._filer.file(window, fetched)))
        return parts
