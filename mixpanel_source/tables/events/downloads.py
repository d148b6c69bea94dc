"""Windows of raw events, from Mixpanel to verified files on disk.

Source: https://developer.mixpanel.com/reference/raw-event-export.
"""

from __future__ import annotations

from datetime import date
from functools import partial

from ...catalog.tables import EXPORT
from ...decode.index.identity import EventIdentifier
from ...decode.parallel import Check
from ...errors import MixpanelError, PausedError
from ...windows import Window, WindowQueue
from ..archive.archive import Archive
from ..archive.reading import take_file
from ..context import LoadContext
from ..emit import build_reader
from ..package import LoadPackage
from ..spool.spool import Spool
from .fetching import FetchedWindow, WindowFetch
from .ledger import Ledger

MAX_SPOOL_AGE_S = 24 * 3_600.0
"""Maximum age of a window that a crash left in the spool and that is still loaded."""


def _never_cancelled() -> None:
    """Does not cancel."""


class EventDownloads:
    """Fetches windows, one at a time, and prefetches the next one."""

    def __init__(
        self, context: LoadContext, package: LoadPackage, ledger: Ledger, spool: Spool
    ) -> None:
        """Prepare.

        Args:
            context: of the run.
            package: that the windows are for.
            ledger: when each day was read last.
            spool: where the windows go.
        """
        self._context = context
        self._package = package
        self._ledger = ledger
        self._spool = spool

    def take(self, window: Window, *, reuse: bool = False) -> FetchedWindow:
        """The window, from the prefetch or fetched now.

        Args:
            window: to take.
            reuse: whether what is in the spool will do even if it was loaded since.
        """
        prefetch = self._context.window_requests.take_prefetch(window)
        patience_s = self._context.patience_s(self._package)
        if prefetch is None:
            fetched = self._fetch(window, patience_s=patience_s, reuse=reuse)
        else:
            try:
                fetched = prefetch.result()
            except PausedError:
                # a prefetch waits only briefly; if nothing else is left to load, wait properly
                if self._package.windows:
                    raise
                fetched = self._fetch(window, patience_s=patience_s)
        self._package.spooled += [(self._spool, name) for name in fetched.names]
        if self._context.archive is not None:
            # an archive has a file for each day, and so each window is a day
            index = fetched.verified.index
            self._context.archive.keep(EXPORT, window.first, fetched.spooled, index)
        return fetched

    def prefetch(self, queue: WindowQueue) -> None:
        """Begin to fetch the next windows of a queue; `take` returns them."""
        requests = self._context.window_requests
        fetch = partial(self._fetch, patience_s=self._context.prefetch_patience_s)
        for window in queue.upcoming(requests.ahead):
            requests.start_prefetch(window, fetch)

    def _fetch(
        self,
        window: Window,
        check: Check = _never_cancelled,
        *,
        patience_s: float,
        reuse: bool = False,
    ) -> FetchedWindow:
        """The window on disk and verified: left there by an earlier run, or fetched now."""
        if self._context.from_archive is not None:
            return self._take_archived(self._context.from_archive, window.first, check)
        order = WindowFetch(
            self._context,
            self._spool,
            window,
            patience_s=patience_s,
            after=self._oldest_usable(window, reuse=reuse),
        )
        return self._context.engine.fetch(order, check)

    def _take_archived(self, archive: Archive, day: date, check: Check) -> FetchedWindow:
        file = archive.find(EXPORT, day)
        if file is None:
            raise MixpanelError(
                f"export {day}: the archive {archive.location} has no file of this day, which has "
                "to be read with the days around it. Sync it from Mixpanel."
            )
        reader = build_reader(self._context.config, EventIdentifier())
        name, spooled, verified = take_file(archive, file, self._spool, reader, check)
        return FetchedWindow((name,), spooled, verified)

    def _oldest_usable(self, window: Window, *, reuse: bool) -> float:
        """Seconds since the epoch; a window spooled then or before is fetched again."""
        oldest = self._context.time() - MAX_SPOOL_AGE_S
        if self._context.catches_up:
            # events that the search found may be missing from what was fetched before it
            oldest = max(oldest, self._ledger.searched_at or 0.0)
        return oldest if reuse else max(oldest, self._ledger.read_at(window))
