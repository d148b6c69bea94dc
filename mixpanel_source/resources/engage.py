"""Profiles: all of them, replaced at once or not at all.

The pages of one session are a snapshot that Mixpanel keeps for a while. They are spooled one after
the other and count only together: if the session expires or the number of profiles is not the one
announced, the dump starts over.

Source: https://developer.mixpanel.com/reference/engage-query.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import dlt
import msgspec
import pyarrow as pa
from dlt.common.typing import TDataItems
from dlt.extract import DltResource

from .. import settings
from ..client import Request
from ..config import Config
from ..decode import Decoder
from ..endpoints import endpoint
from ..errors import AccessError, AuthError, PlanError, RequestError, TruncatedError
from ..identity import ProfileIdentifier
from ..layout import ENGAGE_COLUMNS, ENGAGE_SCHEMA, engage_layout
from ..lines import iter_row_blocks
from ..spool import Spool, Spooled, Verified, spool_name, verify
from .session import Job, WindowReport, claim_dataset, growing_tables, open_spool
from .tables import (
    build_decoder,
    closing_items,
    iter_tables,
    replace_all,
    stored_columns,
    with_json_columns,
    with_schema,
)

logger = logging.getLogger("mixpanel_source")

NAME = "engage"
READ_AT = "read_at"
RESTARTS = 3
FRESH_SECONDS = 3_600.0
"""How old a dump that a crash left in the spool may be and still be loaded."""


class _Page(msgspec.Struct):
    results: list[msgspec.Raw]
    page_size: int | None = None
    session_id: str | None = None
    total: int | None = None


def engage_resource(config: Config, job: Job) -> DltResource:
    """The resource `engage`."""
    return dlt.resource(
        _iter_items,
        name=NAME,
        write_disposition=replace_all("distinct_id"),
        file_format="parquet",
    )(config, job)


def _iter_items(config: Config, job: Job) -> Iterator[TDataItems]:
    claim_dataset(config)
    state = dlt.current.resource_state()
    spool, name = open_spool(), spool_name(NAME, config.project_id, config.base_url)
    after = max(state.get(READ_AT, 0.0), job.clock.time() - FRESH_SECONDS)
    decoder = build_decoder(config, ProfileIdentifier())
    spooled, verified = spool.find_verified(name, decoder, after=after) or fetch_profiles(
        job, spool, name, config, decoder
    )
    state[READ_AT] = spooled.fetched_at
    job.spooled.append((spool, name))
    report = WindowReport.of_snapshot(
        NAME,
        rows=0,
        size=spooled.lines_bytes,
        requests=spooled.requests,
        fetched_at=spooled.fetched_at,
    )
    report.duplicates_dropped = len(verified.index.dropped)
    with stored_columns(state, ENGAGE_COLUMNS, config) as columns, growing_tables():
        for table, repairs in iter_tables(spooled, verified, decoder, engage_layout, columns):
            report.rows += len(table)
            report.repairs.update(repairs)
            rows = with_schema(table, ENGAGE_SCHEMA)
            yield with_json_columns(rows, [*columns.json_columns, "properties"])
    if not report.rows:
        nothing = {field.name: pa.nulls(1, field.type) for field in ENGAGE_SCHEMA}
        yield pa.table(nothing, schema=ENGAGE_SCHEMA)
    job.report(report)
    yield from closing_items(NAME, job, state)


def fetch_profiles(
    job: Job, spool: Spool, name: str, config: Config, decoder: Decoder
) -> tuple[Spooled, Verified]:
    """All profiles, on disk and verified.

    Raises:
        TruncatedError: if the dump was cut short each of the times it was tried.
    """
    restarts = 0
    while True:
        dump = _Dump(job, config)
        try:
            verified = verify(iter_row_blocks(spool.write(name, dump.iter_chunks())), decoder)
            dump.check_total(len(verified.index))
        except TruncatedError as failure:
            restarts += 1
            if restarts > RESTARTS:
                raise
            logger.warning("%s Starting over with the first page.", failure)
            continue
        spooled = spool.keep(
            name,
            gzipped=False,
            fetched_at=dump.started_at,
            requests=dump.requests,
            lines_bytes=verified.lines_bytes,
        )
        return spooled, verified


class _Dump:
    """One session: its pages, and what the first of them said of the others."""

    def __init__(self, job: Job, config: Config) -> None:
        self._job = job
        self._config = config
        self._session_id: str | None = None
        self._page_size = config.engage_page_size or settings.ENGAGE_PAGE_SIZE
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
                f"engage: {self._total} profiles were announced and {received} came."
            )

    def _fetch(self, number: int) -> _Page:
        try:
            request = build_request(
                page_size=self._config.engage_page_size, session_id=self._session_id, page=number
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
            raise TruncatedError(f"engage page {number}: the session has expired.") from refusal
        self.started_at = self.started_at or reply.started_at
        self.requests += reply.tries
        # what a later page leaves out is as the first page said
        self._session_id = page.session_id or self._session_id
        self._page_size = page.page_size or self._page_size
        self._total = self._total if page.total is None else page.total
        if self._session_id is None and len(page.results) >= self._page_size:
            raise TruncatedError("engage: Mixpanel gave no session_id to read on with.")
        return page


def build_request(
    *, page_size: int | None = None, session_id: str | None = None, page: int = 0
) -> Request:
    """The request for a page of profiles; the first one opens the session of the others."""
    form: dict[str, str] = {}
    if page_size is not None:
        form["page_size"] = str(page_size)
    if session_id is not None:
        form |= {"session_id": session_id, "page": str(page)}
    # Mixpanel does not count the pages that follow the first
    free = session_id is not None
    return Request(f"{NAME} page {page}", endpoint(NAME), form=form, free=free)


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
