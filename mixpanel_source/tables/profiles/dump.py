"""Complete, verified dumps of profiles: of users, of groups, or of the members of a cohort.

The pages of one session are a snapshot that Mixpanel keeps for a while. They are spooled one after
another and count only together: if the session expires, or the number of profiles is not the one
announced, the dump starts over.

Source: https://developer.mixpanel.com/reference/engage-query.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from ... import constants
from ...api.reply import Reply
from ...api.request import Request
from ...api.retry import RetryBudget
from ...catalog.endpoints import endpoint
from ...config.model import Config
from ...decode.blocks import BlockReader
from ...decode.framing import iter_row_blocks
from ...decode.index.identity import ProfileIdentifier
from ...decode.verify import VerifiedWindow, verify
from ...errors import AccessError, AuthError, PlanError, RequestError, TruncatedError
from ..context import LoadContext, open_spool
from ..emit import build_reader
from ..load_log import WindowLoad
from ..package import LoadPackage
from ..spool import Spool, Spooled, spool_name
from ..spooled_window import SpooledWindow, find_verified

logger = logging.getLogger("mixpanel_source")

MAX_SPOOL_AGE_S = 3_600.0
"""Maximum age of a dump that a crash left in the spool and that is still loaded."""


@dataclass(frozen=True)
class ProfileQuery:
    """Which profiles to request."""

    table: str
    form: Mapping[str, str] = field(default_factory=dict)
    """Sent with every page of the session."""
    part: str = ""
    """Part of the table, if it is loaded part by part."""

    def spool_name(self, config: Config) -> str:
        """Name of the dump in the spool."""
        return spool_name(self.table, config.project_id, config.base_url, dict(self.form))

    def request(
        self, *, page_size: int | None = None, session_id: str | None = None, page: int = 0
    ) -> Request:
        """The request for one page; the first one opens the session of the others."""
        form = {**self.form}
        if page_size is not None:
            form["page_size"] = str(page_size)
        if session_id is not None:
            form |= {"session_id": session_id, "page": str(page)}
        return Request(
            endpoint("engage"),
            self.table,
            part=self.part,
            detail=f"page {page}",
            form=form,
            # Mixpanel does not count the pages after the first
            free=session_id is not None,
        )


@dataclass(frozen=True)
class ProfileDump:
    """Profiles on disk, proven complete."""

    query: ProfileQuery
    spooled: Spooled
    verified: VerifiedWindow

    def window_load(self) -> WindowLoad:
        """The entry for the load log; its rows are still to be counted."""
        load = WindowLoad.of_reading(
            self.query.table,
            rows=0,
            size=self.spooled.lines_bytes,
            requests=self.spooled.requests,
            fetched_at=self.spooled.fetched_at,
        )
        load.part = self.query.part
        load.duplicates_dropped = len(self.verified.index.duplicates)
        return load


class _Page(msgspec.Struct):
    results: list[msgspec.Raw]
    page_size: int | None = None
    session_id: str | None = None
    total: int | None = None


def take_dump(
    context: LoadContext,
    package: LoadPackage,
    query: ProfileQuery,
    *,
    after: float,
) -> ProfileDump:
    """A dump that an earlier run left in the spool, or else one fetched now.

    Args:
        context: of the run.
        package: that the profiles are for.
        query: which profiles.
        after: seconds since the epoch; a dump fetched then or before is fetched again.

    Raises:
        TruncatedError: every try was incomplete.
    """
    spool, name = open_spool(), query.spool_name(context.config)
    after = max(after, context.time() - MAX_SPOOL_AGE_S)
    reader = build_reader(context.config, ProfileIdentifier())
    found = find_verified(spool, name, reader, after=after)
    spooled, verified = found or _fetch(context, package, query, reader, spool)
    package.spooled.append((spool, name))
    return ProfileDump(query, spooled, verified)


def _fetch(
    context: LoadContext,
    package: LoadPackage,
    query: ProfileQuery,
    reader: BlockReader,
    spool: Spool,
) -> SpooledWindow:
    name = query.spool_name(context.config)
    budget = context.client.new_budget()
    while True:
        session = _Session(context, package, query, budget)
        try:
            verified = verify(iter_row_blocks(spool.write(name, session.iter_chunks())), reader)
            session.check_total(len(verified.index))
        except TruncatedError as failure:
            if not budget.may_restart():
                raise
            logger.warning("%s Starting over with the first page.", failure)
            continue
        spooled = spool.keep(
            name,
            gzipped=False,
            fetched_at=session.started_at,
            requests=session.requests,
            lines_bytes=verified.lines_bytes,
        )
        return SpooledWindow(spooled, verified)


class _Session:
    """One session: its pages, and what the first page announced about the others."""

    def __init__(
        self,
        context: LoadContext,
        package: LoadPackage,
        query: ProfileQuery,
        budget: RetryBudget,
    ) -> None:
        self._context = context
        self._package = package
        self._query = query
        self._budget = budget
        self._session_id: str | None = None
        self._page_size = context.config.engage_page_size or constants.ENGAGE_PAGE_SIZE
        self._total: int | None = None
        self.started_at = 0.0
        self.requests = 0

    def iter_chunks(self) -> Iterator[bytes]:
        """Yields the profiles of one page at a time, one per line."""
        received = number = 0
        while True:
            page = self._fetch(number)
            if page.results:
                yield b"".join(bytes(row).replace(b"\n", b" ") + b"\n" for row in page.results)
            received += len(page.results)
            number += 1
            if len(page.results) < self._page_size or received == self._total:
                return

    def check_total(self, received: int) -> None:
        if self._total is not None and received != self._total:
            raise TruncatedError(
                f"{self._total} profiles were announced and {received} arrived.",
                subject=f"{self._query.table} {self._query.part}".rstrip(),
            )

    def _fetch(self, number: int) -> _Page:
        request = self._query.request(
            page_size=self._context.config.engage_page_size,
            session_id=self._session_id,
            page=number,
        )
        reply, page = self._send(request, is_first=number == 0)
        self.started_at = self.started_at or reply.started_at
        self.requests += reply.tries
        # values that a later page leaves out are those of the first page
        self._session_id = page.session_id or self._session_id
        self._page_size = page.page_size or self._page_size
        self._total = self._total if page.total is None else page.total
        if self._session_id is None and len(page.results) >= self._page_size:
            raise TruncatedError(
                "Mixpanel sent no session_id to continue with.", subject=request.label
            )
        return page

    def _send(self, request: Request, *, is_first: bool) -> tuple[Reply, _Page]:
        try:
            return self._context.client.send(
                request,
                lambda reply: (reply, parse_page(reply.body())),
                budget=self._budget,
                patience_s=self._context.patience_s(self._package),
            )
        except (AuthError, AccessError, PlanError):
            raise
        except RequestError as refusal:
            if is_first:
                raise
            raise TruncatedError("the session has expired.", subject=request.label) from refusal


_decode_page = msgspec.json.Decoder(_Page).decode


def parse_page(body: bytes) -> _Page:
    """A page of profiles, each as the bytes in which it arrived.

    Raises:
        TruncatedError: the body is not such a page.
    """
    try:
        return _decode_page(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        # a lone surrogate or NaN somewhere: escape it, so that the repair of its row finds it
        page = json.loads(body.decode("utf-8", "surrogateescape"), strict=False)
        rows = [msgspec.Raw(json.dumps(row).encode()) for row in page.pop("results")]
        return msgspec.convert({**page, "results": rows}, _Page)
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise TruncatedError("the reply is not a page of profiles") from error
