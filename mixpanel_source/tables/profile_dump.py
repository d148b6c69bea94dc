"""Profiles of any kind, whole and verified: those of users, of groups, of the members of a cohort.

The pages of one session are a snapshot that Mixpanel keeps for a while. They are spooled one after
the other and count only together: if the session expires or the number of profiles is not the one
announced, the dump starts over.

Source: https://developer.mixpanel.com/reference/engage-query.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from .. import constants
from ..api.client import Request
from ..catalog import endpoint
from ..config.model import Config
from ..decode.blocks import BlockReader
from ..decode.framing import iter_row_blocks
from ..decode.identity import ProfileIdentifier
from ..decode.verify import VerifiedWindow, verify
from ..errors import AccessError, AuthError, PlanError, RequestError, TruncatedError
from .context import Job, open_spool
from .emit import build_reader
from .load_log import WindowLoad
from .spool import Spooled, spool_name
from .spooled_window import SpooledWindow, find_verified

logger = logging.getLogger("mixpanel_source")

RESTARTS = 3
FRESH_SECONDS = 3_600.0
"""How old a dump that a crash left in the spool may be and still be loaded."""


@dataclass(frozen=True)
class ProfileQuery:
    """Which profiles to ask for."""

    table: str
    form: Mapping[str, str] = field(default_factory=dict)
    """What every page of the session is asked with."""
    part: str = ""
    """Of the table, if it is loaded part by part."""

    @property
    def what(self) -> str:
        """The table and the part, for messages."""
        return f"{self.table} {self.part}".rstrip()

    def spool_name(self, config: Config) -> str:
        """Under which they wait in the spool."""
        return spool_name(self.table, config.project_id, config.base_url, dict(self.form))


@dataclass(frozen=True)
class Dump:
    """Profiles on disk, proven complete."""

    asked: ProfileQuery
    spooled: Spooled
    verified: VerifiedWindow

    def report(self) -> WindowLoad:
        """What is said of it; the rows are still to be counted."""
        report = WindowLoad.of_snapshot(
            self.asked.table,
            rows=0,
            size=self.spooled.lines_bytes,
            requests=self.spooled.requests,
            fetched_at=self.spooled.fetched_at,
        )
        report.part = self.asked.part
        report.duplicates_dropped = len(self.verified.index.dropped)
        return report


class _Page(msgspec.Struct):
    results: list[msgspec.Raw]
    page_size: int | None = None
    session_id: str | None = None
    total: int | None = None


def take_profiles(job: Job, config: Config, asked: ProfileQuery, *, after: float) -> Dump:
    """The profiles as an earlier run left them in the spool, or else fetched now.

    Args:
        job: whose client and clock to use; clears the spool once they are loaded.
        config: the settings.
        asked: which profiles.
        after: the oldest that they may be, seconds since the epoch.

    Raises:
        TruncatedError: the dump was cut short each of the times it was tried.
    """
    spool, name = open_spool(), asked.spool_name(config)
    after = max(after, job.clock.time() - FRESH_SECONDS)
    reader = build_reader(config, ProfileIdentifier())
    found = find_verified(spool, name, reader, after=after)
    spooled, verified = found or _fetch(job, config, asked, reader)
    job.spooled.append((spool, name))
    return Dump(asked, spooled, verified)


def _fetch(job: Job, config: Config, asked: ProfileQuery, reader: BlockReader) -> SpooledWindow:
    spool, name = open_spool(), asked.spool_name(config)
    restarts = 0
    while True:
        session = _Session(job, config, asked)
        try:
            verified = verify(iter_row_blocks(spool.write(name, session.iter_chunks())), reader)
            session.check_total(len(verified.index))
        except TruncatedError as failure:
            restarts += 1
            if restarts > RESTARTS:
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
    """One session: its pages, and what the first of them said of the others."""

    def __init__(self, job: Job, config: Config, asked: ProfileQuery) -> None:
        self._job = job
        self._config = config
        self._asked = asked
        self._session_id: str | None = None
        self._page_size = config.engage_page_size or constants.ENGAGE_PAGE_SIZE
        self._total: int | None = None
        self.started_at = 0.0
        self.requests = 0

    def iter_chunks(self) -> Iterator[bytes]:
        """Yields the profiles of a page, one a line."""
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
                f"{self._asked.what}: {self._total} profiles were announced and {received} came."
            )

    def _fetch(self, number: int) -> _Page:
        try:
            request = build_request(
                self._asked,
                page_size=self._config.engage_page_size,
                session_id=self._session_id,
                page=number,
            )
            reply, page = self._job.client(self._config).send(
                request,
                lambda reply: (reply, parse_page(reply.body())),
                patience_s=self._job.patience_s,
            )
        except (AuthError, AccessError, PlanError):
            raise
        except RequestError as refusal:
            if number == 0:
                raise
            raise TruncatedError(
                f"{self._asked.what} page {number}: the session has expired."
            ) from refusal
        self.started_at = self.started_at or reply.started_at
        self.requests += reply.tries
        # what a later page leaves out is as the first page said
        self._session_id = page.session_id or self._session_id
        self._page_size = page.page_size or self._page_size
        self._total = self._total if page.total is None else page.total
        if self._session_id is None and len(page.results) >= self._page_size:
            raise TruncatedError(
                f"{self._asked.what}: Mixpanel gave no session_id to read on with."
            )
        return page


def build_request(
    asked: ProfileQuery,
    *,
    page_size: int | None = None,
    session_id: str | None = None,
    page: int = 0,
) -> Request:
    """The request for a page of profiles; the first one opens the session of the others."""
    form = {**asked.form}
    if page_size is not None:
        form["page_size"] = str(page_size)
    if session_id is not None:
        form |= {"session_id": session_id, "page": str(page)}
    # Mixpanel does not count the pages that follow the first
    free = session_id is not None
    return Request(f"{asked.what} page {page}", endpoint("engage"), form=form, free=free)


_decode_page = msgspec.json.Decoder(_Page).decode


def parse_page(body: bytes) -> _Page:
    """A page of profiles, each as the bytes it came in.

    Raises:
        TruncatedError: if the body is no such page.
    """
    try:
        return _decode_page(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        # a lone surrogate or NaN somewhere: keep it, escaped, for the repair of its row
        page = json.loads(body.decode("utf-8", "surrogateescape"), strict=False)
        rows = [msgspec.Raw(json.dumps(row).encode()) for row in page.pop("results")]
        return msgspec.convert({**page, "results": rows}, _Page)
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise TruncatedError("the reply is not a page of profiles") from error
