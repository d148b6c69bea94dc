"""Fetches a window of raw events: in one request, or a day that is too big for one in several.

Parts of a day are verified and kept in the spool one by one, so that a reply that is cut short, or
a process that is killed, costs a part. They become one window: their duplicates are found together,
and they are loaded together or not at all.

Source: https://developer.mixpanel.com/reference/raw-event-export.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import orjson

from ... import constants
from ...api.reply import Reply
from ...api.request import Request
from ...catalog.endpoints import endpoint
from ...catalog.tables import EXPORT
from ...config.model import Config
from ...decode.blocks import BlockReader
from ...decode.framing import iter_row_blocks
from ...decode.index.identity import EventIdentifier
from ...decode.parallel import Check
from ...decode.verify import VerifiedWindow, join_parts, read_part, verify
from ...errors import ServerError, TruncatedError
from ...windows import Window
from ..context import LoadContext
from ..emit import build_reader
from ..spool.files import Spooled, SpooledParts
from ..spool.spool import Spool, spool_name
from ..spool.windows import Read, SpooledWindow, find_verified
from .day_parts import DayPart

logger = logging.getLogger("mixpanel_source")


class FetchedWindow(NamedTuple):
    """A window on disk, verified."""

    names: tuple[str, ...]
    """Of its files in the spool."""
    spooled: Spooled | SpooledParts
    verified: VerifiedWindow


class _FetchedPart(NamedTuple):
    name: str
    spooled: Spooled
    verified: VerifiedWindow


class WindowFetch:
    """Fetches one window, or finds it in the spool."""

    def __init__(
        self,
        context: LoadContext,
        spool: Spool,
        window: Window,
        *,
        patience_s: float,
        after: float,
    ) -> None:
        """Prepare.

        Args:
            context: of the run.
            spool: where the window goes.
            window: to fetch.
            patience_s: maximum seconds to wait for the quota.
            after: seconds since the epoch; what was spooled then or before is fetched again.
        """
        self._context = context
        self._config = context.config
        self.spool = spool
        self.window = window
        self.patience_s = patience_s
        self.after = after
        self._requests = context.window_requests
        self._budget = self._requests.budget(window)
        self._reader = build_reader(context.config, EventIdentifier())
        self._parts: list[_FetchedPart] = []
        self._check: Check = lambda: None
        self._received_bytes = 0
        """Of the last request, as they travelled, in all of its tries."""
        self._was_cut = False

    def fetch(self, check: Check = lambda: None) -> FetchedWindow:
        """The window.

        Args:
            check: called for each chunk; raises to stop.

        Raises:
            MixpanelError: it, or a part of it that cannot be cut again, could not be fetched.
        """
        self._check = check
        whole = DayPart(self.window.first)
        self._fetch_part(whole)
        if len(self._parts) > 1 and not any(self._sizes()):
            # an expression that Mixpanel does not understand might select nothing at all
            for part in self._parts:
                self.spool.remove(part.name)
            self._parts.clear()
            self._request(whole)
        if self._was_cut:
            self._requests.splitter.note_split(max(self._sizes()))
        return self._join()

    def _fetch_part(self, part: DayPart) -> None:
        """Fetch a part, or its halves."""
        if self._find(part):
            return
        halves = part.halves if self.window.length_days == 1 else ()
        if not halves or not self._is_to_be_cut(part):
            try:
                self._request(part)
            except (ServerError, TruncatedError) as failure:
                if not halves or not self._is_big(part):
                    raise
                self._budget.note_halving()
                self._was_cut = True
                logger.warning("%s Requesting less of the day at once.", failure)
            else:
                return
        for half in halves:
            self._fetch_part(half)

    def _request(self, part: DayPart) -> None:
        """Request a part, and add it to those of the window."""
        name = self._name(part)
        self._received_bytes = 0
        found = self._context.client.send(
            build_request(self.window, self._config, part=part),
            partial(
                receive,
                self.spool,
                name,
                self._reader,
                self._check,
                note=self._note_bytes,
                read=self._read,
            ),
            budget=self._budget,
            max_tries=partial(self._max_tries, part),
            patience_s=self.patience_s,
        )
        limit = self._config.limit
        if limit and len(found.verified.index) >= limit:
            self.spool.remove(name)
            raise TruncatedError(
                f"the reply holds as many events as limit ({limit}) allows, so there may be more. "
                "Raise limit, or leave it out to load all.",
                subject=f"{EXPORT} {self.window}",
            )
        self._parts.append(_FetchedPart(name, *found))

    def _find(self, part: DayPart) -> bool:
        """Whether the spool has a part; it is added to those of the window then."""
        name = self._name(part)
        found = find_verified(self.spool, name, self._reader, after=self.after, read=self._read)
        if found is not None:
            self._parts.append(_FetchedPart(name, *found))
        return found is not None

    @property
    def _read(self) -> Read:
        """Reads a part; there is memory for the blocks of the first one only."""
        return partial(read_part, keeps_blocks=not self._parts)

    def _note_bytes(self, size: int) -> None:
        self._received_bytes += size

    def _max_tries(self, part: DayPart) -> int | None:
        if self.window.length_days == 1 and not (part.halves and self._is_big(part)):
            return None
        return self._requests.max_tries()

    def _is_big(self, part: DayPart) -> bool:
        """Whether it may be for its size that a part does not arrive."""
        expected_rows = self._requests.splitter.expected_rows >> part.depth
        return (
            self._received_bytes >= constants.BIG_REPLY_BYTES
            or expected_rows >= constants.BIG_REPLY_ROWS
        )

    def _is_to_be_cut(self, part: DayPart) -> bool:
        """Whether a part is too big, or an earlier run has requested parts of it."""
        if part.depth < self._requests.splitter.depth:
            return True
        spooled = self.spool.names(f"{EXPORT}-{self.window}.")
        pending = [*part.halves] if spooled else []
        while pending:
            smaller = pending.pop()
            if self._name(smaller) in spooled:
                return True
            pending += smaller.halves
        return False

    def _name(self, part: DayPart) -> str:
        config = self._config
        suffix = "" if part.is_whole else f".{part.key}"
        return spool_name(
            EXPORT,
            f"{self.window}{suffix}",
            config.project_id,
            config.export_base_url,
            config.filters,
        )

    def _sizes(self) -> list[int]:
        return [len(part.verified.index) for part in self._parts]

    def _join(self) -> FetchedWindow:
        names = tuple(part.name for part in self._parts)
        if len(names) == 1:
            _, spooled, verified = self._parts[0]
            verified.index.resolve_duplicates()
            return FetchedWindow(names, spooled, verified)
        parts = [part.verified for part in self._parts]
        return FetchedWindow(
            names,
            SpooledParts(tuple(part.spooled for part in self._parts)),
            join_parts(parts, directory=self.spool.directory),
        )


def receive(
    spool: Spool,
    name: str,
    reader: BlockReader,
    check: Check,
    reply: Reply,
    *,
    note: Callable[[int], object] = bool,
    read: Read = verify,
) -> SpooledWindow:
    """Write a reply to the spool and verify it on the way.

    Args:
        spool: where to write.
        name: of the window.
        reader: identifies the rows.
        check: called for each chunk; raises to stop.
        reply: what to read.
        note: called with the size of each chunk.
        read: verifies the rows.
    """
    chunks = spool.write(name, _checked(reply, check, note))
    blocks = iter_row_blocks(reply.inflate(chunks))
    verified = read(blocks, reader, directory=spool.directory)
    spooled = spool.keep(
        name,
        gzipped=reply.gzipped,
        fetched_at=reply.started_at,
        requests=reply.tries,
        lines_bytes=verified.lines_bytes,
    )
    return SpooledWindow(spooled, verified)


def _checked(reply: Reply, check: Check, note: Callable[[int], object]) -> Iterator[bytes]:
    for chunk in reply.chunks():
        check()
        note(len(chunk))
        yield chunk
    # while the file is still provisional: a refusal is not a window, nor a row of another shape
    reply.check_text(is_unreadable=True)


def build_request(
    window: Window,
    config: Config,
    *,
    limit: int | None = None,
    detail: str = "",
    part: DayPart | None = None,
) -> Request:
    """The request for the events of `window`, or for at most `limit` of them.

    Args:
        window: the days.
        config: the filters.
        limit: maximum events.
        detail: what tells the request from others for the window.
        part: of the window's only day, if it is not all of it.
    """
    params = {
        "from_date": str(window.first),
        "to_date": str(window.last),
        "time_in_ms": "true",
    }
    if config.events:
        params["event"] = orjson.dumps(config.events).decode()
    conditions = [text for text in (config.where, part.condition if part else "") if text]
    if conditions:
        is_single = len(conditions) == 1
        params["where"] = conditions[0] if is_single else f"({conditions[0]}) and {conditions[1]}"
    if limit or config.limit:
        params["limit"] = str(limit or config.limit)
    detail = detail or str(part or "")
    return Request(endpoint(EXPORT), EXPORT, window=window, detail=detail, params=params)
