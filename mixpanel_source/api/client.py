"""Access to one Mixpanel project; the only module that sleeps.

`Client.send` makes one request and lets `read` consume the reply. Sending and reading are one unit:
whatever goes wrong in either, the whole unit is retried, so `read` must not pass anything on before
it returns. There is no other layer of retries.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import requests

from .. import constants
from ..config.model import Config
from ..errors import (
    CancelledError,
    MixpanelError,
    PausedError,
    RateLimitedError,
    UnavailableError,
)
from ..progress import Progress
from .clock import Clock
from .error_mapping import error_from_refusal
from .rate_limit import Pace, request_logs
from .reply import Reply
from .request import Request
from .retry import RetryBudget, parse_retry_after
from .transport import Transport, mapped_errors, never_arrived

T = TypeVar("T")

logger = logging.getLogger("mixpanel_source")

MAX_REFUSAL_BYTES = 16 * 1024


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
        pace: Pace | None = None,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            config: credentials, hosts, pace and retries.
            clock: the time, and how to wait.
            directory: where requests are logged, for runs within the next hour.
            progress: receives requests, bytes and waits.
            cancelled: once set, nothing more is requested or read.
            pace: kept together with another client; its own if not given.
        """
        self._config = config
        self._directory = directory
        self._clock = clock
        self._pace = pace or Pace(
            per_second=config.requests_per_second, per_hour=config.requests_per_hour
        )
        self._transport = Transport(config)
        self._logs = request_logs(config, directory)
        self._progress = progress or Progress()
        self._cancelled = cancelled or Event()
        self.requests = 0
        """Requests made, failed and unmetered ones included."""

    def for_hosts_of(self, config: Config) -> Client:
        """A client for other hosts that shares this one's pace."""
        return Client(config, clock=self._clock, directory=self._directory, pace=self._pace)

    def new_budget(self) -> RetryBudget:
        """The retries that the settings allow one unit of work, see `RetryBudget`."""
        return RetryBudget(self._config.retries, base_s=self._config.retry_base_seconds)

    def send(
        self,
        request: Request,
        read: Callable[[Reply], T],
        *,
        budget: RetryBudget | None = None,
        max_tries: int | None = None,
        patience_s: float = constants.QUOTA_PATIENCE_SECONDS,
    ) -> T:
        """Make a request, retry where that may help, and return what `read` returns.

        Args:
            request: what to request.
            read: consumes the reply; called once per try, so it must start anew each time.
            budget: the retries left to the unit of work that this request belongs to; a new budget
                if not given.
            max_tries: maximum tries of this one request, where its caller has a better way to go on
                than to repeat it; refusals for the quota do not count. None for no such limit.
            patience_s: maximum seconds to wait for the quota.

        Raises:
            RequestError: Mixpanel refused, and would refuse again.
            UnavailableError: the last try failed as well.
            PausedError: the quota allows no request within `patience_s`.
            CancelledError: the job was cancelled.
        """
        give_up_at = self._clock.time() + patience_s
        budget = budget or self.new_budget()
        tries = 0
        while True:
            self._wait_for_turn(request, give_up_at)
            tries += 1
            try:
                result = self._try(request, read, tries)
            except UnavailableError as error:
                resume_at = self._resume_at(request, error, budget)
                if tries == max_tries and not isinstance(error, RateLimitedError):
                    raise
                self._wait(request, resume_at, give_up_at, why=error)
            else:
                budget.note_success()
                return result

    def _try(self, request: Request, read: Callable[[Reply], T], number: int) -> T:
        started_at = self._clock.time()
        self._progress.request_sent(request.table, request.scope)
        with mapped_errors(request):
            response = self._open(request)
            with response:
                if response.status_code != requests.codes.ok:
                    raise self._refusal(request, response)
                on_chunk = partial(self._note_bytes, request)
                reply = Reply(response, started_at=started_at, tries=number, on_chunk=on_chunk)
                return read(reply)

    def _note_bytes(self, request: Request, size: int) -> None:
        """Report bytes that arrived; stop if the job is cancelled."""
        self._progress.bytes_received(request.table, size)
        self._check_cancelled()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError("Cancelled.")

    def _open(self, request: Request) -> requests.Response:
        try:
            response = self._transport.open(request)
        except requests.RequestException as error:
            self._record(request, metered=request.metered and not never_arrived(error))
            raise
        # a refusal for the quota does not count against it
        limited = response.status_code == requests.codes.too_many_requests
        self._record(request, metered=request.metered and not limited)
        return response

    def _record(self, request: Request, *, metered: bool) -> None:
        # only now is it certain that Mixpanel has the request: the next must not arrive too soon
        now = self._clock.time()
        self.requests += 1
        self._pace.record(request.quota, now, metered=metered)
        if metered:
            self._logs[request.quota].append(now)

    def _refusal(self, request: Request, response: requests.Response) -> MixpanelError:
        text = error_text(next(response.iter_content(MAX_REFUSAL_BYTES), b""))
        for value in request.hidden:
            text = text.replace(value, "...")
        return error_from_refusal(
            response.status_code,
            text,
            request=request,
            config=self._config,
            retry_after_s=parse_retry_after(response.headers, self._clock.time()),
        )

    def _resume_at(self, request: Request, error: UnavailableError, budget: RetryBudget) -> float:
        """When to retry after `error`, which is raised again if the budget is exhausted."""
        now = self._clock.time()
        limited = isinstance(error, RateLimitedError)
        delay_s = budget.next_delay(now, retry_after_s=error.retry_after_s, limited=limited)
        if delay_s is None:
            raise error
        if limited:
            self._pace.close(request.quota, now + delay_s)
        return now + delay_s

    def _wait_for_turn(self, request: Request, give_up_at: float) -> None:
        now = self._clock.time()
        if request.metered:
            self._pace.restore(request.quota, self._logs[request.quota].recent(now))
        paced = self._pace.next_at(request.quota, now, metered=False)
        turn = self._pace.next_at(request.quota, now, metered=request.metered)
        # the second between two requests is not a wait for the quota
        self._wait(request, turn, give_up_at if turn > paced else float("inf"))

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
            logger.warning("%s: %s Next try at %s, in %.0f s.", request.label, reason, at, wait_s)
            self._progress.waiting(request.table, until, for_quota=for_quota)
        if until > now:
            self._clock.sleep(until - now)
        self._check_cancelled()

    def _quota_exhausted(self) -> str:
        return f"hourly quota of project_id {self._config.project_id} exhausted."


def error_text(body: bytes) -> str:
    """The `error` text of a refusal, or a description of another body."""
    try:
        reply: Any = json.loads(body)
    except ValueError:
        return "an HTML page" if b"<html" in body.lower() else ""
    error = reply.get("error", "") if isinstance(reply, dict) else ""
    return error if isinstance(error, str) else ""
