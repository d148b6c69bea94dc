"""Requests that write: the only module of this package that opens sockets.

A request that may have failed for a passing reason is sent again until Mixpanel answers it, because
what is sent may be repeated. What may not is the business of the caller.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import requests
from isal import igzip
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from mixpanel_source.api.clock import Clock
from mixpanel_source.api.connection_errors import check_certificates, mapped_errors
from mixpanel_source.api.redaction import Redactor
from mixpanel_source.api.refusal_text import read_refusal
from mixpanel_source.api.retry import parse_retry_after
from mixpanel_source.config.build import build_config
from mixpanel_source.errors import (
    CancelledError,
    RateLimitedError,
    UnavailableError,
)

from .. import constants
from ..errors import UncertainError
from ..settings import Settings
from .call import Call, Reply
from .gate import Gate, Pace
from .refusals import find_error

logger = logging.getLogger("mixpanel_destination")


class Client:
    """Sends requests to one project, from any number of threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = time,
        cancelled: threading.Event | None = None,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            settings: account, project, hosts and pace.
            clock: the time, and how to wait.
            cancelled: once set, nothing more is sent.
        """
        self.settings = settings
        self._cancelled = cancelled or threading.Event()
        self.gate = Gate(clock)
        self._pace = Pace(settings.pace, clock)
        self.clock = clock
        self._hosts = {
            "query": settings.base_url,
            "export": settings.export_base_url,
            "ingestion": settings.ingestion_base_url,
        }
        self._session = requests.Session()
        pool = HTTPAdapter(pool_connections=4, pool_maxsize=2 * constants.CLIENTS)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, pool)
        self._session.headers.update({"User-Agent": "mixpanel-destination"})
        # as bytes: for text that is not latin-1 requests raises an error that shows it
        self._auth = HTTPBasicAuth(settings.username.encode(), settings.secret.encode())
        self._redactor = Redactor(
            build_config(
                {
                    "username": settings.username,
                    "secret": settings.secret,
                    "project_id": settings.project_id,
                }
            )
        )
        self._counts = threading.Lock()
        self.requests = 0
        """Requests sent, failed ones included."""
        self.retries = 0

    def send(self, call: Call, *, check: Callable[[Reply], None] | None = None) -> Reply:
        """Send a request until Mixpanel answers it.

        Args:
            call: what to send.
            check: raises `UnavailableError` for a reply that may pass, such as a page of a proxy.

        Raises:
            AuthError: the account, the project or the region does not match.
            PlanError: the project's plan does not include the API.
            ConfigError: a setting of the network is wrong.
            SendingPausedError: nothing was accepted for a long time.
            CancelledError: sending was cancelled.
            UncertainError: there is no answer to a call that must not be repeated.
        """
        check_certificates()
        size = len(call.body or b"")
        while True:
            step = self.gate.wait(self._check_cancelled)
            self._pace.wait(rows=call.rows, size=size)
            self._check_cancelled()
            try:
                reply = self._try(call)
                if check is not None:
                    check(reply)
            except UnavailableError as error:
                self._note(retry=True)
                wait_s = self.gate.failed(
                    step, why=error.reason, retry_after_s=error.retry_after_s or 0.0
                )
                if not call.is_repeatable and not isinstance(error, RateLimitedError):
                    raise UncertainError(
                        f"{error.reason} It may have been carried out: look before you try again.",
                        subject=call.label,
                    ) from error
                if wait_s:
                    logger.warning("%s: %s Next try in %.0f s.", call.label, error.reason, wait_s)
            else:
                self.gate.succeeded()
                return reply

    def words(self, text: str, *, hidden: Sequence[str] = ()) -> str:
        """A text of Mixpanel as a message may quote it: without credentials and values."""
        return self._redactor.words(self.mask(text, hidden=hidden))

    def mask(self, text: str, *, hidden: Sequence[str] = ()) -> str:
        """A text without the tokens, the credentials and what else is hidden."""
        for secret in filter(None, (self.settings.token, self.settings.oauth_token, *hidden)):
            text = text.replace(secret, "...")
        return self._redactor.whole(text)

    def _quote(self, call: Call, response: requests.Response) -> str:
        if response.ok:
            return ""
        return self.words(read_refusal(response.content).text, hidden=call.hidden)

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError(
                "Cancelled. What was not sent is kept: run the same command again."
            )

    def _note(self, *, retry: bool = False) -> None:
        with self._counts:
            self.requests += not retry
            self.retries += retry

    def _try(self, call: Call) -> Reply:
        self._note()
        host = self._hosts[call.host]
        # what the messages of `mapped_errors` need to know
        request: Any = SimpleNamespace(
            label=call.label,
            endpoint=SimpleNamespace(host=call.host),
            host_setting="base_url" if call.host == "query" else f"{call.host}_base_url",
        )
        with mapped_errors(request, host):
            response = self._session.request(
                call.method,
                host + call.path,
                params=self._params(call),
                data=igzip.compress(call.body, 1) if call.compressed and call.body else call.body,
                headers=_headers(call),
                auth=self._credentials(call),
                allow_redirects=False,
                timeout=(constants.CONNECT_TIMEOUT_SECONDS, constants.READ_TIMEOUT_SECONDS),
            )
        error = find_error(
            response.status_code,
            self._quote(call, response),
            call=call,
            settings=self.settings,
            retry_after_s=parse_retry_after(response.headers, self.clock.time()),
        )
        if error is not None:
            raise error
        return Reply(response.status_code, response.content)

    def _credentials(self, call: Call) -> Any:  # noqa: ANN401 - whatever requests takes
        if call.by_oauth:
            return _Bearer(self.settings.oauth_token or "")
        if call.by_token:
            return HTTPBasicAuth((self.settings.token or "").encode(), b"")
        return self._auth if call.has_account else _no_auth

    def _params(self, call: Call) -> dict[str, str]:
        scope = {"project_id": str(self.settings.project_id)} if call.has_account else {}
        return {**scope, **call.params}


def _headers(call: Call) -> dict[str, str]:
    if call.body is None:
        return {}
    encoding = {"Content-Encoding": "gzip"} if call.compressed else {}
    return {"Content-Type": call.content_type, **encoding}


class _Bearer(AuthBase):
    """Sends an OAuth token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send no credentials; without this, requests would take some from ~/.netrc."""
    return request
