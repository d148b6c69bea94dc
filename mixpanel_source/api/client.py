"""Access to one Mixpanel project; the only module that sleeps.

`Client.send` makes one request and lets `read` consume the reply. Sending and reading are one unit:
whatever goes wrong in either, the whole unit is retried, so `read` must not pass anything on before
it returns. There is no other layer of retries.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import TypeVar

import requests
import urllib3
from requests import codes

from .. import constants
from ..catalog.endpoints import QUOTAS
from ..config.model import Config
from ..errors import (
    CancelledError,
    MixpanelError,
    PausedError,
    RateLimitedError,
    RequestError,
    TruncatedError,
    UnavailableError,
)
from ..progress import Progress
from .clock import Clock
from .connection_errors import check_certificates, mapped_errors, never_arrived
from .error_mapping import error_from_refusal
from .gate import Gate, Turn
from .rate_limit import pace_of, parse_hourly_limit
from .redaction import Redactor
from .refusal_text import MAX_BYTES, Refusal, read_refusal
from .reply import RefusedError, Reply
from .request import Request
from .request_log import open_request_log
from .retry import RetryBudget, parse_retry_after
from .server_time import ServerTime
from .transport import Transport

T = TypeVar("T")

logger = logging.getLogger("mixpanel_source")

UNCOUNTED = (401, 402, 429)
"""Statuses of replies that do not count against the quota."""


class Client:
    """Authenticated, paced, retrying access to one Mixpanel project."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock = time,
        directory: Path,
        progress: Progress | None = None,
        cancelled: Event | None = None,
        gate: Gate | None = None,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            config: credentials, hosts, pace and retries.
            clock: the time, and how to wait.
            directory: where requests are logged, unless `quota_store` says otherwise.
            progress: receives requests, bytes and waits.
            cancelled: once set, nothing more is requested or read.
            gate: shared with another client; its own if not given.

        Raises:
            ConfigError: `quota_store` cannot be used.
        """
        self._config = config
        self._directory = directory
        self._clock = clock
        self._gate = gate or Gate(pace_of(config), open_request_log(config, directory), clock)
        self._transport = Transport(config)
        self._redactor = Redactor(config)
        self._progress = progress or Progress()
        self._cancelled = cancelled or Event()
        self.server_time = ServerTime()
        self.requests = 0
        """Requests made, failed and unmetered ones included."""

    def for_hosts_of(self, config: Config) -> Client:
        """A client for other hosts that shares this one's pace."""
        return Client(config, clock=self._clock, directory=self._directory, gate=self._gate)

    def requests_left(self) -> dict[str, int]:
        """Quota -> requests that the hour still allows; empty if there is no limit."""
        if not self._config.requests_per_hour:
            return {}
        now = self._clock.time()
        return {quota: self._gate.pace.left(quota, now) for quota in QUOTAS}

    def note_elsewhere(self, requests: int, server_time: ServerTime) -> None:
        """Note requests that another process has made for this one, with the same log.

        Args:
            requests: their number.
            server_time: what their replies said.
        """
        self.requests += requests
        self.server_time = server_time
        self._gate.refresh()

    def new_budget(self) -> RetryBudget:
        """The retries that the settings allow one unit of work, see `RetryBudget`."""
        return RetryBudget(self._config.retries, base_s=self._config.retry_base_seconds)

    def send(
        self,
        request: Request,
        read: Callable[[Reply], T],
        *,
        budget: RetryBudget | None = None,
        max_tries: int | Callable[[], int | None] | None = None,
        patience_s: float = constants.QUOTA_PATIENCE_SECONDS,
    ) -> T:
        """Make a request, retry where that may help, and return what `read` returns.

        Args:
            request: what to request.
            read: consumes the reply; called once per try, so it must start anew each time.
            budget: the retries left to the unit of work that this request belongs to; a new budget
                if not given.
            max_tries: maximum tries of this one request, where its caller has a better way to go on
                than to repeat it; refusals for the quota do not count. None for no such limit. A
                function is called after each failure.
            patience_s: maximum seconds to wait for the quota.

        Raises:
            ConfigError: a setting of the network is wrong, such as a proxy or certificates.
            RequestError: Mixpanel refused, and would refuse again.
            UnavailableError: the last try failed as well.
            PausedError: the quota allows no request within `patience_s`.
            CancelledError: the job was cancelled.
        """
        check_certificates()
        give_up_at = self._clock.time() + patience_s
        budget = budget or self.new_budget()
        tries = 0
        while True:
            tries += 1
            try:
                result = self._try(request, read, tries, give_up_at)
            except UnavailableError as error:
                resume_at = self._resume_at(request, error, budget)
                most = max_tries() if callable(max_tries) else max_tries
                if most is not None and tries >= most and not isinstance(error, RateLimitedError):
                    raise
                self._wait(request, resume_at, give_up_at, why=error)
            else:
                budget.note_success()
                return result

    def _try(
        self, request: Request, read: Callable[[Reply], T], number: int, give_up_at: float
    ) -> T:
        with mapped_errors(request, self._transport.host(request)):
            response, started_at = self._open(request, give_up_at)
            with response:
                if response.status_code != codes.ok:
                    raise self._refusal(request, response)
                started_at += self.server_time.correction_s
                reply = Reply(
                    response,
                    started_at=started_at,
                    tries=number,
                    on_chunk=partial(self._note_bytes, request),
                    mask=self._redactor.body,
                    now=self._clock.time,
                )
                return self._read(request, reply, read)

    def _read(self, request: Request, reply: Reply, read: Callable[[Reply], T]) -> T:
        """What `read` returns; if it cannot read the reply, a refusal in it is the reason."""
        try:
            try:
                return read(reply)
            except (RequestError, TruncatedError):
                reply.check_text(is_unreadable=True)
                raise
        except RefusedError as found:
            error = self._explain(request, codes.ok, found.refusal)
            # RefusedError carries the text as it came
            raise error from None

    def _note_bytes(self, request: Request, size: int) -> None:
        """Report bytes that arrived; stop if the job is cancelled."""
        self._progress.bytes_received(request.table, size)
        self._check_cancelled()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError("Cancelled.")

    def _open(self, request: Request, give_up_at: float) -> tuple[requests.Response, float]:
        """Send a request when it may start; returns the response, and when it was sent."""
        while True:
            with self._gate.try_turn(request) as turn:
                if turn.is_open:
                    return self._send_in_turn(request, turn), turn.now
            self._wait_for_turn(request, turn, give_up_at)

    def _send_in_turn(self, request: Request, turn: Turn) -> requests.Response:
        turn.record()
        self.requests += 1
        self._progress.request_sent(request.table, request.scope)
        try:
            response = self._transport.open(request)
        except requests.RequestException as error:
            turn.settle(self._clock.time(), counts=not never_arrived(error))
            raise
        now = self._clock.time()
        self.server_time.note(response.headers, sent_at=turn.now, received_at=now)
        wait_s = parse_retry_after(response.headers, now)
        turn.settle(
            now,
            counts=response.status_code not in UNCOUNTED,
            limit=parse_hourly_limit(response.headers),
            closed_until=now + wait_s
            if wait_s and response.status_code == codes.too_many_requests
            else 0,
        )
        return response

    def _refusal(self, request: Request, response: requests.Response) -> MixpanelError:
        refusal = read_refusal(self._read_start(response))
        retry_after_s = parse_retry_after(response.headers, self._clock.time())
        return self._explain(request, response.status_code, refusal, retry_after_s)

    def _read_start(self, response: requests.Response) -> bytes:
        """As much of a refusal as says why, even if the connection breaks on the way."""
        start = b""
        give_up_at = self._clock.time() + constants.REFUSAL_SECONDS_MAX
        with suppress(requests.RequestException, urllib3.exceptions.HTTPError):
            while len(start) < MAX_BYTES and self._clock.time() < give_up_at:
                chunk = response.raw.read1(MAX_BYTES - len(start), decode_content=True)
                if not chunk:
                    break
                start += chunk
        return start

    def _explain(
        self,
        request: Request,
        status: int,
        refusal: Refusal,
        retry_after_s: float | None = None,
    ) -> MixpanelError:
        error = error_from_refusal(
            status,
            refusal.text,
            request=request,
            config=self._config,
            retry_after_s=retry_after_s,
            is_page=refusal.is_page,
        )
        error.answer = self._redactor.whole(refusal.text)
        return error

    def _resume_at(self, request: Request, error: UnavailableError, budget: RetryBudget) -> float:
        """When to retry after `error`, which is raised again if the budget is exhausted."""
        if not budget.allows(error):
            raise error
        now = self._clock.time()
        limited = isinstance(error, RateLimitedError)
        delay_s = budget.next_delay(now, retry_after_s=error.retry_after_s, limited=limited)
        if delay_s is None:
            raise error
        if limited:
            self._gate.close(request, now + delay_s)
        return now + delay_s

    def _wait_for_turn(self, request: Request, turn: Turn, give_up_at: float) -> None:
        if turn.is_taken:
            if turn.at > give_up_at:
                raise PausedError(
                    f"another process is sending a request for project_id "
                    f"{self._config.project_id}, and has had no answer yet. Run again later.",
                    subject=request.label,
                )
            self._clock.sleep(turn.at - turn.now)
            self._check_cancelled()
            return
        # the second between two requests is not a wait for the quota
        self._wait(request, turn.at, give_up_at if turn.at > turn.paced_at else float("inf"))

    def _wait(
        self,
        request: Request,
        until: float,
        give_up_at: float,
        *,
        why: UnavailableError | None = None,
    ) -> None:
        now = self._clock.time()
        at = datetime.fromtimestamp(until).astimezone().strftime("%H:%M:%S %Z")
        reason = why.reason if why else self._quota_exhausted()
        for_quota = why is None or isinstance(why, RateLimitedError)
        if for_quota and until > give_up_at:
            raise PausedError(
                f"{reason} The next request is possible at {at}; run again then.",
                subject=request.label,
            ) from why
        if why is not None or until - now > constants.SHORT_WAIT_SECONDS:
            wait_s = until - now
            logger.warning(
                "%s: %s Next try at %s, in %.0f s.",
                request.label,
                reason,
                at,
                wait_s,
                extra={"table": request.table, "wait_s": round(wait_s)},
            )
            self._progress.waiting(request.table, until, for_quota=for_quota)
        if until > now:
            self._clock.sleep(until - now)
        self._check_cancelled()

    def _quota_exhausted(self) -> str:
        return f"hourly quota of project_id {self._config.project_id} exhausted."
