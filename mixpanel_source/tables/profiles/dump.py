"""Complete, verified dumps of profiles: of users, of groups, or of the members of a cohort.

The pages of one session are a snapshot that Mixpanel keeps for a while. They are spooled one after
another and count only together: if the session expires, if a page is not the one requested, or if
the number of profiles is not the one announced, the dump starts over. See `pages`.

Source: https://developer.mixpanel.com/reference/engage-query.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from dlt.common.typing import TDataItems

from ... import constants
from ...api.reply import Reply
from ...api.request import Request
from ...api.retry import RetryBudget
from ...catalog.endpoints import endpoint
from ...config.model import Config
from ...decode.blocks import BlockReader
from ...decode.forgotten import ForgottenIds
from ...decode.framing import iter_row_blocks
from ...decode.index.identity import ProfileIdentifier
from ...decode.index.row_index import RowIndex
from ...decode.verify import VerifiedWindow, verify
from ...destinations.replacement import Replacement
from ...errors import AccessError, AuthError, PlanError, RequestError, TruncatedError
from ..archive.archive import Archive
from ..archive.reading import take_file
from ..context import LoadContext
from ..emit import TableFormat, build_reader, iter_items
from ..load_log import WindowLoad, date_in_utc
from ..package import LoadPackage
from ..rejected import REPLACE_PART, RejectedWriter, find_rejected
from ..spool.files import Spooled
from ..spool.spool import Spool, spool_name
from ..spool.windows import SpooledWindow, find_verified
from .pages import Page, PageSequence, parse_page

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

    def keep_in(self, archive: Archive) -> None:
        """Add the profiles to an archive, under the day on which they were read."""
        day = date_in_utc(self.spooled.fetched_at)
        archive.keep(self.query.table, day, self.spooled, self.verified.index)

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


def take_dump(
    context: LoadContext,
    package: LoadPackage,
    query: ProfileQuery,
    *,
    after: float,
    spool: Spool | None = None,
    digests_lines: bool = False,
) -> ProfileDump:
    """A dump from an archive, or that an earlier run left in the spool, or fetched now.

    Args:
        context: of the run.
        package: that the profiles are for.
        query: which profiles.
        after: seconds since the epoch; a dump fetched then or before is fetched again.
        spool: that of the running pipeline if not given.
        digests_lines: whether the lines are to be compared with others.

    Raises:
        TruncatedError: every try was incomplete.
    """
    spool, name = spool or context.open_spool(), query.spool_name(context.config)
    after = max(after, context.time() - MAX_SPOOL_AGE_S)
    reader = build_reader(context.config, ProfileIdentifier(), digests_lines=digests_lines)
    archived = context.from_archive and context.from_archive.newest(query.table)
    if context.from_archive is not None and archived:
        taken = take_file(context.from_archive, archived, spool, reader)
        package.spooled.append((spool, taken.name))
        return ProfileDump(query, taken.spooled, taken.verified)
    found = find_verified(spool, name, reader, after=after)
    spooled, verified = found or _fetch(context, package, query, reader, spool)
    package.spooled.append((spool, name))
    return ProfileDump(query, spooled, verified)


def iter_dump(
    dump: ProfileDump,
    table_format: TableFormat,
    load: WindowLoad,
    forgotten: ForgottenIds,
    *,
    replaces: Replacement = REPLACE_PART,
    iter_rows: Callable[[ProfileDump, TableFormat, WindowLoad], Iterator[TDataItems]] = iter_items,
) -> Iterator[TDataItems]:
    """Yields the profiles of a dump as items for dlt: those set aside, then the others.

    Args:
        dump: what to yield.
        table_format: how profiles become rows of the table.
        load: the entry of the load log; receives the counts.
        forgotten: persons whose rows are not stored.
        replaces: which of the profiles set aside before are replaced.
        iter_rows: yields the others.
    """
    decoder = table_format.decoder
    writer = RejectedWriter(load, forgotten, replaces, mask=decoder.mask)
    yield from writer.iter_items(find_rejected(dump, decoder))
    yield from iter_rows(dump, table_format, load)


def _fetch(
    context: LoadContext,
    package: LoadPackage,
    query: ProfileQuery,
    reader: BlockReader,
    spool: Spool,
) -> SpooledWindow:
    name = query.spool_name(context.config)
    budget = context.client.new_budget()
    refusals: set[str] = set()
    while True:
        session = _Session(context, package, query, budget, refusals)
        try:
            blocks = iter_row_blocks(spool.write(name, session.iter_chunks()))
            verified = verify(blocks, reader, directory=spool.directory)
            session.check_complete(verified.index)
        except TruncatedError as failure:
            if not budget.may_restart(failure):
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
    """One session: requests its pages one after another, as far as they fit together."""

    def __init__(
        self,
        context: LoadContext,
        package: LoadPackage,
        query: ProfileQuery,
        budget: RetryBudget,
        refusals: set[str],
    ) -> None:
        self._context = context
        self._package = package
        self._query = query
        self._budget = budget
        self._refusals = refusals
        """Why later pages were refused in the sessions before this one."""
        page_size = context.config.engage_page_size or constants.ENGAGE_PAGE_SIZE
        self._pages = PageSequence(page_size, subject=f"{query.table} {query.part}".rstrip())
        self.started_at = 0.0
        self.requests = 0

    def iter_chunks(self) -> Iterator[bytes]:
        """Yields the profiles of one page at a time, one per line."""
        while not self._pages.is_complete:
            page = self._fetch(self._pages.count)
            self._pages.add(page, seconds=self._context.clock.time() - self.started_at)
            if page.results:
                yield b"".join(bytes(row).replace(b"\n", b" ") + b"\n" for row in page.results)

    def check_complete(self, index: RowIndex) -> None:
        """Check that the profiles are all that were announced, each from one page."""
        self._pages.check(index)

    def _fetch(self, number: int) -> Page:
        request = self._query.request(
            page_size=self._context.config.engage_page_size,
            session_id=self._pages.session_id,
            page=number,
        )
        reply, page = self._send(request, is_first=number == 0)
        self.started_at = self.started_at or reply.started_at
        self.requests += reply.tries
        return page

    def _send(self, request: Request, *, is_first: bool) -> tuple[Reply, Page]:
        try:
            return self._context.client.send(
                request,
                read_page,
                budget=self._budget,
                patience_s=self._context.patience_s(self._package),
            )
        except (AuthError, AccessError, PlanError):
            raise
        except RequestError as refusal:
            # a session that has expired can be opened again; what is refused again stays refused
            if is_first or refusal.reason in self._refusals:
                raise
            self._refusals.add(refusal.reason)
            raise TruncatedError(
                f"the session has expired: {refusal.reason}", subject=request.label
            ) from refusal


def read_page(reply: Reply) -> tuple[Reply, Page]:
    """The reply and the page in it, for `Client.send`.

    Raises:
        TruncatedError: see `parse_page`, as `RequestError`.
        RefusedError: it is a refusal.
    """
    page = parse_page(reply.body())
    reply.check_value({"status": page.status, "error": page.error})
    return reply, page
