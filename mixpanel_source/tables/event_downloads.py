"""Windows of raw events, from Mixpanel to the disk.

Source: https://developer.mixpanel.com/reference/raw-event-export.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import orjson

from ..api.client import Reply, Request
from ..catalog import endpoint
from ..config.model import Config
from ..decode.blocks import BlockReader
from ..decode.framing import inflate, iter_row_blocks
from ..decode.identity import EventIdentifier
from ..decode.parallel import Check, Prefetch
from ..decode.verify import VerifiedWindow, verify
from ..errors import PausedError, TruncatedError
from ..windows import Window
from .context import Job
from .emit import build_reader
from .ledger import Ledger
from .spool import Spool, Spooled, spool_name
from .spooled_window import SpooledWindow, find_verified

NAME = "export"
FRESH_SECONDS = 24 * 3_600.0
"""How old a window that a crash left in the spool may be and still be loaded."""


class Fetched(NamedTuple):
    """A window on disk and verified."""

    name: str
    """In the spool."""
    spooled: Spooled
    verified: VerifiedWindow


def _go_on() -> None:
    """Nobody asks for an end."""


class Downloads:
    """Fetches windows, one at a time, and the next one ahead."""

    def __init__(self, config: Config, job: Job, ledger: Ledger, spool: Spool) -> None:
        """Fetch for `job` what `config` says, to `spool`; `ledger` knows when it was read last."""
        self._config = config
        self._job = job
        self._ledger = ledger
        self._spool = spool

    def take(self, window: Window) -> Fetched:
        """The window as it was fetched ahead, or else fetched now."""
        job = self._job
        ahead, job.ahead = job.ahead, None
        if ahead is not None and ahead.work == window:
            try:
                fetched: Fetched = ahead.result()
            except PausedError:
                # while there is something to load the wait was a short one
                if job.reports:
                    raise
                fetched = self._fetch(window, patience_s=job.patience_s)
        else:
            job.drop_ahead()
            fetched = self._fetch(window, patience_s=job.patience_s)
        job.spooled.append((self._spool, fetched.name))
        return fetched

    def look_ahead(self, window: Window) -> None:
        """Begin to fetch a window; `take` gives it."""
        fetch = partial(self._fetch, patience_s=self._job.patience_ahead_s)
        self._job.ahead = Prefetch(window, fetch)

    def _fetch(self, window: Window, check: Check = _go_on, *, patience_s: float) -> Fetched:
        """The window on disk and verified: as an earlier run left it, or fetched now."""
        config = self._config
        name = spool_name(NAME, window, config.project_id, config.export_base_url, config.filters)
        reader = build_reader(config, EventIdentifier(window))
        after = max(self._ledger.read_at(window), self._job.clock.time() - FRESH_SECONDS)
        if self._job.catches_up:
            # what was found then may not be in what was fetched before
            after = max(after, self._ledger.looked_at or 0.0)
        found = find_verified(self._spool, name, reader, after=after)
        if found is None:
            read = partial(receive, self._spool, name, reader, check)
            found = self._job.client(config).send(
                build_request(window, config), read, patience_s=patience_s
            )
        if config.limit and len(found[1].index) >= config.limit:
            self._spool.remove(name)
            raise TruncatedError(
                f"export {window}: the reply holds as many events as limit ({config.limit}) "
                "allows, so there may be more. Raise limit, or leave it out to load all."
            )
        return Fetched(name, *found)


def receive(
    spool: Spool, name: str, reader: BlockReader, check: Check, reply: Reply
) -> SpooledWindow:
    """Write a reply to the spool, verifying it on the way.

    Args:
        spool: where to.
        name: of the window.
        reader: for the kind of the rows.
        check: called for each chunk; raises to break off.
        reply: what to read.
    """
    chunks = spool.write(name, _checked(reply.chunks(), check))
    blocks = inflate(chunks) if reply.gzipped else chunks
    verified = verify(iter_row_blocks(blocks), reader)
    spooled = spool.keep(
        name,
        gzipped=reply.gzipped,
        fetched_at=reply.started_at,
        requests=reply.tries,
        lines_bytes=verified.lines_bytes,
    )
    return SpooledWindow(spooled, verified)


def _checked(chunks: Iterable[bytes], check: Check) -> Iterator[bytes]:
    for chunk in chunks:
        check()
        yield chunk


def build_request(window: Window, config: Config, *, limit: int | None = None) -> Request:
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
    return Request(f"{NAME} {window}", endpoint(NAME), params)
