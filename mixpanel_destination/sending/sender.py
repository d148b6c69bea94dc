"""Sends batches of staged rows, from several threads, and notes what became of each row."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson
import pyarrow as pa

from mixpanel_source.errors import ConfigError, RequestError

from .. import constants
from ..api.call import Call
from ..api.client import Client
from ..api.replies import (
    Refused,
    Verdict,
    check_import,
    check_update,
    read_import,
    read_update,
)
from ..errors import TooManyRefusedError, UncertainError
from ..runs import RefusedRow, RunLog
from .rows import Row, facts_of, outcome_of, read_rows, why_refused

_SPLITS_IN_VAIN = 24
"""Requests refused as a whole, one after another, after which no row will be accepted."""


@dataclass(frozen=True)
class SendOptions:
    """How a run sends."""

    refused_share_max: float = constants.REFUSED_SHARE_MAX
    """Share of rows refused against expectation above which it stops."""
    in_flight: str = ""
    """What to do with rows that must not be sent twice, and may have been sent before a kill:
    resend or skip; empty to stop."""
    has_canary: bool = True
    """Whether the first request is small, and its refusals decide whether to go on."""


class Sender:
    """Sends the rows of one run; may be used from several threads."""

    def __init__(
        self, client: Client, log: RunLog, kind: str, *, options: SendOptions | None = None
    ) -> None:
        """Prepare to send rows of a kind.

        Raises:
            ConfigError: profiles and groups need the token of the project.
        """
        settings = client.settings
        if kind != "events" and settings.token is None:
            raise ConfigError(
                f"token is not set, which {kind} need. Set it in [destination.{settings.name}] of "
                ".dlt/secrets.toml; the project's settings show it."
            )
        self._client = client
        self._log = log
        self._kind = kind
        self._options = options or SendOptions()
        self._limit = constants.REQUEST_BYTES
        self._canary = threading.Lock()
        self._totals = threading.Lock()
        known = log.totals()
        self.sent = known["accepted"] + known["refused"]
        """Rows with an answer."""
        self._unexpected = 0
        self._example: Refused | None = None
        self._has_sent = self.sent > 0
        self._identity_refusal: Refused | None = None
        """Why the project takes no identity events, once that is known."""

    def send(self, batch: pa.RecordBatch, table: str) -> None:
        """Send a batch of staged rows; returns when it is known what became of each.

        A batch that is known already is not sent again.

        Raises:
            TooManyRefusedError: more rows were refused than expected.
            MixpanelError: nothing more can be sent now; see `Client.send`.
        """
        first = batch.column("row")[0].as_py()
        if self._log.has_batch(first, table):
            return
        with self._totals:
            totals = (self._unexpected, self.sent)
        self._check_share(*totals)
        rows = read_rows(batch)
        to_send = [row for row in rows if not row.held]
        if not all(row.is_repeatable for row in to_send):
            to_send = self._begin(first, table, to_send)
        if not self._has_sent and self._options.has_canary:
            to_send = self._send_canary(to_send)
        for request in self._requests(to_send):
            self._deliver(request)
        self._note_refused(rows)
        self._log.add_batch(first, table, outcome_of(rows), facts_of(rows))
        self._log.forget(first, table)
        self._count(rows)

    def _begin(self, first: int, table: str, rows: list[Row]) -> list[Row]:
        """The rows of a batch that must not be sent twice, or none if it may have been sent."""
        if self._log.begin(first, table) or self._options.in_flight == "resend":
            return rows
        if self._options.in_flight == "skip":
            for row in rows:
                row.is_unknown = True
            return []
        raise UncertainError(
            f"{len(rows):,} updates were interrupted, and may have been carried out. Look at the "
            f"profile {rows[0].insert_id}, then give --in-flight resend or --in-flight skip."
        )

    def _send_canary(self, rows: list[Row]) -> list[Row]:
        """Send the first rows of the run alone, and return the rest."""
        with self._canary:
            if self._has_sent or not rows:
                return rows
            canary, rest = rows[: constants.CANARY_ROWS], rows[constants.CANARY_ROWS :]
            for request in self._requests(canary):
                self._deliver(request)
            self._note_refused(canary)
            if rest:
                self._check_share(self._note_unexpected(canary), len(canary))
            self._has_sent = True
            return rest

    def _requests(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """The rows, as requests that are not too large."""
        request: list[Row] = []
        size = 0
        for row in rows:
            # a separator, brackets, and the token of updates
            row_size = len(row.payload) + 100
            if request and size + row_size > self._limit:
                yield request
                request, size = [], 0
            request.append(row)
            size += row_size
        if request:
            yield request

    def _deliver(self, rows: list[Row], *, refusals: list[int] | None = None) -> None:
        """Send rows in one request, and in several if it is refused as a whole.

        Args:
            rows: whose `refused` is set.
            refusals: how many requests in a row were refused as a whole, as its only item.
        """
        refusals = refusals if refusals is not None else [0]
        if self._identity_refusal and self._take_out_identity(
            rows, self._identity_refusal, refusals
        ):
            return
        verdict = self._post(rows)
        if verdict.limit is not None:
            self._deliver_smaller(rows, verdict.limit, refusals)
            return
        if verdict.whole is None:
            refusals[0] = 0
            for position, why in verdict.refused.items():
                rows[position].refused = why
            return
        if verdict.is_identity and self._take_out_identity(rows, verdict.whole, refusals):
            return
        refusals[0] += 1
        if refusals[0] >= _SPLITS_IN_VAIN:
            raise self._all_refused(verdict.whole)
        if len(rows) == 1:
            rows[0].refused = verdict.whole
            return
        half = (len(rows) + 1) // 2
        for part in (rows[:half], rows[half:]):
            self._deliver(part, refusals=refusals)

    def _take_out_identity(self, rows: list[Row], why: Refused, refusals: list[int]) -> bool:
        """Send the rows without identity events, if there are any, and note those as refused."""
        rest = [row for row in rows if row.event not in constants.IDENTITY_EVENTS]
        if len(rest) == len(rows):
            return False
        self._identity_refusal = why
        for row in rows:
            if row.event in constants.IDENTITY_EVENTS:
                row.refused = why
        if rest:
            self._deliver(rest, refusals=refusals)
        return True

    def _deliver_smaller(self, rows: list[Row], limit: int, refusals: list[int]) -> None:
        """Send rows whose request was refused as too large, in several requests.

        Args:
            rows: of the request.
            limit: bytes that Mixpanel takes; 0 if it does not say.
            refusals: see `_deliver`.
        """
        size = sum(len(row.payload) + 1 for row in rows)
        if len(rows) == 1:
            rows[0].refused = Refused(413, "", f"{size:,} bytes are too large")
            return
        # with some room, because how Mixpanel counts is not documented
        learned = int(0.98 * limit) if limit else size // 2
        with self._totals:
            self._limit = min(self._limit, max(learned, constants.ROW_BYTES_MAX + 200))
        parts = [*self._requests(rows)]
        if len(parts) == 1:  # a proxy may take less than Mixpanel
            half = (len(rows) + 1) // 2
            parts = [rows[:half], rows[half:]]
        for part in parts:
            self._deliver(part, refusals=refusals)

    def _post(self, rows: Sequence[Row]) -> Verdict:
        if self._kind == "events":
            body = b"\n".join([row.payload for row in rows])
            reply = self._client.send(
                Call(
                    path="/import",
                    label="import",
                    params={"strict": "1"},
                    body=body,
                    content_type="application/x-ndjson",
                    compressed=True,
                    rows=len(rows),
                ),
                check=check_import,
            )
            return read_import(reply, [row.insert_id for row in rows])
        reply = self._client.send(self._update_call(rows), check=check_update)
        return read_update(reply, [row.insert_id for row in rows])

    def _update_call(self, rows: Sequence[Row]) -> Call:
        token = b'{"$token":%b,' % orjson.dumps(self._client.settings.token)
        # without an address of its own, a row takes the place of this machine
        ip = "0" if all(b'"$ip":' in row.payload for row in rows) else "1"
        path = "/engage" if self._kind == "profiles" else "/groups"
        return Call(
            path=path,
            label=path[1:],
            params={"strict": "1", "verbose": "2", "ip": ip},
            body=b"[%b]" % b",".join([token + row.payload[1:] for row in rows]),
            has_account=False,
            is_repeatable=all(row.is_repeatable for row in rows),
            rows=len(rows),
        )

    def _note_refused(self, rows: Sequence[Row]) -> None:
        mask = self._client.mask
        self._log.add_refused(
            [
                RefusedRow(
                    run=self._log.run,
                    key=row.key,
                    insert_id=row.insert_id,
                    event=row.event,
                    day=row.day,
                    status=why.status,
                    field=why.field,
                    message=mask(why.message),
                    payload=row.payload.decode(),
                )
                for row in rows
                if (why := why_refused(row)) is not None
            ]
        )

    def _count(self, rows: Sequence[Row]) -> None:
        """Add a batch to the totals."""
        unexpected = self._note_unexpected(rows)
        with self._totals:
            self.sent += sum(not row.held for row in rows)
            self._unexpected += unexpected

    def _note_unexpected(self, rows: Sequence[Row]) -> int:
        """How many rows were refused against expectation; one of the reasons is remembered."""
        why = [row.refused for row in rows if row.refused is not None and not row.problem]
        if why:
            self._example = why[0]
        return len(why)

    def _check_share(self, refused: int, sent: int) -> None:
        """Check, before more is sent, that not too much was refused against expectation."""
        why = self._example
        if why is None or refused <= self._options.refused_share_max * max(sent, 1):
            return
        raise TooManyRefusedError(
            f"Mixpanel refused {refused:,} of {sent:,} rows that seemed valid, such as for "
            f'"{why.field}: {self._client.words(why.message)}". The rest was not sent. Look at '
            f"the rows in {REFUSED_HINT}; to send the rest anyway, give --max-refused."
        )

    def _all_refused(self, why: Refused) -> RequestError:
        section = f"destination.{self._client.settings.name}"
        return RequestError(
            f'Mixpanel refuses every row, whatever is in it: "{self._client.words(why.message)}". '
            f"Check token and project_id of {section}."
        )


REFUSED_HINT = "_mixpanel_refused, which `mixpanel-destination status` locates"
