"""Windows of raw events, from Mixpanel to verified files on disk.

Source: https://developer.mixpanel.com/reference/raw-event-export.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import NamedTuple

import orjson

from ...api.reply import Reply
from ...api.request import Request
from ...catalog.endpoints import endpoint
from ...catalog.tables import EXPORT
from ...config.model import Config
from ...decode.blocks import BlockReader
from ...decode.framing import iter_row_blocks
from ...decode.index.identity import EventIdentifier
from ...decode.parallel import Check
from ...decode.verify import VerifiedWindow, verify
from ...errors import MixpanelError, PausedError, TruncatedError
from ...windows import Window
from ..archive.archive import Archive
from ..archive.reading import take_file
from ..context import LoadContext
from ..emit import build_reader
from ..package import LoadPackage
from ..spool import Spool, Spooled, spool_name
from ..spooled_window import SpooledWindow, find_verified
from .ledger import Ledger

NAME = EXPORT
MAX_SPOOL_AGE_S = 24 * 3_600.0
"""Maximum age of a window that a crash left in the spool and that is still loaded."""


class FetchedWindow(NamedTuple):
    """A window on disk, verified."""

    name: str
    """In the spool."""
    spooled: Spooled
    verified: VerifiedWindow


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
        self._package.spooled.append((self._spool, fetched.name))
        if self._context.archive is not None:
            # an archive has a file for each day, and so each window is a day
            index = fetched.verified.index
            self._context.archive.keep(NAME, window.first, fetched.spooled, index)
        return fetched

    def prefetch(self, window: Window) -> None:
        """Begin to fetch a window; `take` returns it."""
        fetch = partial(self._fetch, patience_s=self._context.prefetch_patience_s)
        self._context.window_requests.start_prefetch(window, fetch)

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
        config = self._context.config
        name = spool_name(NAME, window, config.project_id, config.export_base_url, config.filters)
        reader = build_reader(config, EventIdentifier())
        found = find_verified(
            self._spool, name, reader, after=self._oldest_usable(window, reuse=reuse)
        )
        if found is None:
            requests = self._context.window_requests
            found = self._context.client.send(
                build_request(window, config),
                partial(receive, self._spool, name, reader, check),
                budget=requests.budget(window),
                max_tries=requests.max_tries(window),
                patience_s=patience_s,
            )
        if config.limit and len(found[1].index) >= config.limit:
            self._spool.remove(name)
            raise TruncatedError(
                f"the reply holds as many events as limit ({config.limit}) allows, so there may be "
                "more. Raise limit, or leave it out to load all.",
                subject=f"{NAME} {window}",
            )
        return FetchedWindow(name, *found)

    def _take_archived(self, archive: Archive, day: date, check: Check) -> FetchedWindow:
        file = archive.find(NAME, day)
        if file is None:
            raise MixpanelError(
                f"export {day}: the archive {archive.location} has no file of this day, which has "
                "to be read with the days around it. Sync it from Mixpanel."
            )
        reader = build_reader(self._context.config, EventIdentifier())
        return FetchedWindow(*take_file(archive, file, self._spool, reader, check))

    def _oldest_usable(self, window: Window, *, reuse: bool) -> float:
        """Seconds since the epoch; a window spooled then or before is fetched again."""
        oldest = self._context.time() - MAX_SPOOL_AGE_S
        if self._context.catches_up:
            # events that the search found may be missing from what was fetched before it
            oldest = max(oldest, self._ledger.searched_at or 0.0)
        return oldest if reuse else max(oldest, self._ledger.read_at(window))


def receive(
    spool: Spool, name: str, reader: BlockReader, check: Check, reply: Reply
) -> SpooledWindow:
    """Write a reply to the spool and verify it on the way.

    Args:
        spool: where to write.
        name: of the window.
        reader: identifies the rows.
        check: called for each chunk; raises to stop.
        reply: what to read.
    """
    chunks = spool.write(name, _checked(reply, check))
    blocks = iter_row_blocks(reply.inflate(chunks))
    verified = verify(blocks, reader, directory=spool.directory)
    spooled = spool.keep(
        name,
        gzipped=reply.gzipped,
        fetched_at=reply.started_at,
        requests=reply.tries,
        lines_bytes=verified.lines_bytes,
    )
    return SpooledWindow(spooled, verified)


def _checked(reply: Reply, check: Check) -> Iterator[bytes]:
    for chunk in reply.chunks():
        check()
        yield chunk
    # while the file is still provisional: a refusal is not a window, nor a row of another shape
    reply.check_text(is_unreadable=True)


def build_request(
    window: Window, config: Config, *, limit: int | None = None, detail: str = ""
) -> Request:
    """The request for the events of `window`, or for at most `limit` of them."""
    params = {
        "from_date": str(window.first),
        "to_date": str(window.last),
        "time_in_ms": "true",
    }
    if config.events:
        params["event"] = orjson.dumps(config.events).decode()
    if config.where:
        params["where"] = config.where
    if limit or config.limit:
        params["limit"] = str(limit or config.limit)
    return Request(endpoint(NAME), NAME, window=window, detail=detail, params=params)
