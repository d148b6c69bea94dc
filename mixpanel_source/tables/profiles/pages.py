"""Pages of profiles: how they are read, and whether they are the pages that were requested.

Pure. A server that ignores `page`, repeats a page or changes its mind about the total sends pages
that are perfect one by one, so they are identified by what is in them.

Source: https://developer.mixpanel.com/reference/engage-query.
"""

from __future__ import annotations

import json
from array import array
from typing import Any

import msgspec
import numpy as np

from ... import constants
from ...decode.index.row_index import RowIndex
from ...decode.json_values import MAX_DEPTH, load_json
from ...decode.reply_values import unexpected
from ...errors import RequestError, TruncatedError


class Page(msgspec.Struct):
    """One page, with each profile as the bytes in which it arrived."""

    results: list[msgspec.Raw]
    page: Any = None
    page_size: Any = None
    session_id: Any = None
    total: Any = None
    status: Any = None
    error: Any = None


_decode_page = msgspec.json.Decoder(Page).decode


def parse_page(body: bytes) -> Page:
    """The page in a reply.

    Raises:
        TruncatedError: the body is not JSON.
        RequestError: it is not a page of profiles.
    """
    try:
        return _decode_page(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        # a lone surrogate or NaN somewhere: escape it, so that the repair of its row finds it
        page = load_json(body.decode("utf-8", "surrogateescape"), max_depth=2 * MAX_DEPTH)
    except ValueError as error:
        raise TruncatedError("the reply is not JSON") from error
    try:
        rows = [msgspec.Raw(json.dumps(row).encode()) for row in page.pop("results")]
        return msgspec.convert({**page, "results": rows}, Page)
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise unexpected("a page of profiles") from error


class PageSequence:
    """The pages of one session so far, and what the first one announced about the others."""

    def __init__(self, page_size: int, *, subject: str) -> None:
        """Start without a page.

        Args:
            page_size: profiles per page, unless the first page tells another number.
            subject: what is requested, for messages.
        """
        self._page_size = page_size
        self._subject = subject
        self._total: int | None = None
        self._bytes = 0
        self._ends: list[int] = []
        """For each page, the profiles up to its end."""
        self._numbers: dict[int, int] = {}
        """Hash of the profiles of a page -> its number."""
        self._hashes = array("q")
        """Hash of each profile."""
        self.session_id: str | None = None
        self.is_complete = False
        """Whether there is no other page."""

    @property
    def count(self) -> int:
        """The number of pages, which is the number of the next page."""
        return len(self._ends)

    def add(self, page: Page, *, seconds: float) -> None:
        """Add the next page.

        Args:
            page: with the number `count`.
            seconds: since the first page was requested.

        Raises:
            TruncatedError: it does not belong to the pages before it, or it has no session to
                continue with.
            RequestError: there are more pages than any project has.
        """
        number, size = self.count, len(page.results)
        self._check_facts(number, page)
        hashes = array("q", map(hash, map(bytes, page.results)))
        self._check_new(number, hashes)
        self._hashes += hashes
        self._ends.append(len(self._hashes))
        self._bytes += sum(map(len, map(bytes, page.results)))
        received = len(self._hashes)
        if self._total is not None and received > self._total:
            raise self._odd(f"{self._total} profiles were announced and {received} arrived")
        self.is_complete = size < self._page_size or received == self._total
        if self.is_complete:
            return
        if self.session_id is None:
            raise self._odd("Mixpanel sent no session_id to continue with")
        self._check_bounds(seconds)

    def check(self, index: RowIndex) -> None:
        """Check all pages together.

        Args:
            index: of the profiles of all pages, in their order.

        Raises:
            TruncatedError: they are not as many as announced, or pages overlap.
        """
        received = len(index)
        if self._total is not None and received != self._total:
            raise TruncatedError(
                f"{self._total} profiles were announced and {received} arrived.",
                subject=self._subject,
            )
        if len(index.dropped) and received == len(self._hashes):
            self._check_overlap(index)

    def _check_facts(self, number: int, page: Page) -> None:
        """Check what a page tells about itself and the others; the first one may tell anything."""
        page_size = _as_count(page.page_size)
        total = _as_count(page.total)
        session_id = None if page.session_id in (None, "") else str(page.session_id)
        if page.page is not None and str(page.page) != str(number):
            raise self._odd(f"page {number} was requested and another one arrived")
        if number == 0:
            self._page_size = page_size or self._page_size
            self._total, self.session_id = total, session_id
            return
        # what a later page leaves out is as on the first one
        if total is not None and total != self._total:
            raise self._odd(
                f"the announced number of profiles changed from {self._total} to {total}"
            )
        if page_size is not None and page_size != self._page_size:
            raise self._odd(f"the size of a page changed from {self._page_size} to {page_size}")
        if session_id not in (None, self.session_id):
            raise self._odd("Mixpanel changed the session between two pages")

    def _check_new(self, number: int, hashes: array[int]) -> None:
        if not hashes:
            return
        content = hash(tuple(sorted(hashes)))
        before = self._numbers.setdefault(content, number)
        if before != number:
            raise self._odd(f"page {number} has the profiles of page {before}")

    def _check_overlap(self, index: RowIndex) -> None:
        """Check that no profile came again with a later page, except with other content.

        Ids that are there twice are profiles that Mixpanel has not merged. They are few.
        """
        ids = index.first_words()
        _, firsts, inverse = np.unique(ids, return_index=True, return_inverse=True)
        first = firsts[inverse]
        ends = np.array(self._ends)
        pages = np.searchsorted(ends, np.arange(len(ids)), side="right")
        is_again = pages[first] != pages
        # all rejected rows share one key
        is_again[index.rejected] = False
        hashes = np.frombuffer(self._hashes, np.int64)
        is_same = is_again & (hashes[first] == hashes)
        sizes = np.diff(ends, prepend=0)
        again = np.bincount(pages[is_again], minlength=len(sizes))
        odd = np.flatnonzero((2 * again > sizes) & (sizes > 0))
        if is_same.any():
            odd = pages[is_same]
        if len(odd):
            raise self._odd(f"page {int(odd[0])} has profiles of pages before it")

    def _check_bounds(self, seconds: float) -> None:
        bounds = (
            (self.count, constants.DUMP_PAGES_MAX, "pages"),
            (self._bytes, constants.EXPORT_BYTES_MAX, "bytes"),
            (seconds, constants.DUMP_SECONDS_MAX, "seconds"),
        )
        for value, maximum, unit in bounds:
            if value >= maximum:
                raise RequestError(
                    f"there is no end to the profiles after {value:,.0f} {unit}, so none is "
                    "loaded. Check engage_page_size, or request less with engage_where.",
                    subject=self._subject,
                )

    def _odd(self, reason: str) -> TruncatedError:
        # a server that mixes up pages hardly does so by chance
        return TruncatedError(f"{reason}.", subject=self._subject, retries=1)


def _as_count(value: object) -> int | None:
    """A number of profiles as it is announced; None if it is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value >= 0 else None
    return None
