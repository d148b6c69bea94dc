"""The only module that opens sockets or sleeps.

`Client.send` makes one request and lets `read` consume the reply. Sending and reading are one unit:
whatever goes wrong in either, the unit is tried again whole, so `read` must not let anything out
before it has returned. There is no other layer of retries.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from .. import constants
from ..catalog import QUERY, Endpoint
from ..config.model import Config
from ..decode.framing import inflate
from ..decode.json_values import Repairs, read_json
from ..errors import (
    CancelledError,
    MixpanelError,
    PausedError,
    RateLimitedError,
    ServerError,
    TruncatedError,
    UnavailableError,
)
from ..progress import Progress
from .error_mapping import error_for
from .pacing import Pace, Retries, asked_wait
from .rate_limit import request_logs

T = TypeVar("T")

logger = logging.getLogger("mixpanel_source")

CHUNK_BYTES = 256 * 1024
REFUSAL_BYTES = 16 * 1024


class Clock(Protocol):
    """What the client needs of time; tests bring their own."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(frozen=True)
class Request:
    """One call of the API."""

    what: str
    """What is asked, for messages: the table and the days."""
    endpoint: Endpoint
    params: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    at: Mapping[str, str] = field(default_factory=dict)
    """What the path has to be filled in with, besides the project."""
    free: bool = False
    """Whether it does not count, though the endpoint is metered."""
    hidden: tuple[str, ...] = ()
    """What no message may show, should Mixpanel repeat it."""

    @property
    def metered(self) -> bool:
        """Whether it counts against a quota."""
        return self.endpoint.quota is not None and not self.free

    @property
    def quota(self) -> str:
        """What it counts against; empty if nothing."""
        return self.endpoint.quota or ""


class Reply:
    """A reply of status 200 whose body is still to be read."""

    def __init__(
        self,
        response: requests.Response,
        *,
        started_at: float,
        tries: int,
        heed: Callable[[int], object] = bool,
    ) -> None:
        """Wrap a streamed response; `heed` is called with the size of each chunk, and may raise."""
        self._response = response
        self._heed = heed
        self.started_at = started_at
        """When the request was sent, seconds since the epoch."""
        self.tries = tries
        """Which try this is, from 1."""
        self.gzipped = "gzip" in response.headers.get("Content-Encoding", "").lower()
        self.size = 0
        """Bytes of the body, decompressed; known once `body` or `json` has read it."""
        self.repairs: Repairs = Counter()
        """What `json` has changed, for no database takes it."""

    def chunks(self) -> Iterator[bytes]:
        """The body as it travels, compressed if `gzipped`.

        Raises:
            TruncatedError: if nothing tells the end of the body from a broken connection.
        """
        raw = self._response.raw
        headers = self._response.headers
        framed = "Content-Length" in headers or getattr(raw, "chunked", False)
        for chunk in raw.stream(CHUNK_BYTES, decode_content=False):
            self._heed(len(chunk))
            yield chunk
        if not framed and not self.gzipped:
            raise TruncatedError("the reply does not say where it ends")

    def body(self) -> bytes:
        """The whole body, decompressed."""
        body = b"".join(inflate(self.chunks()) if self.gzipped else self.chunks())
        self.size = len(body)
        return body

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """What the body says, in a form that databases take.

        Raises:
            TruncatedError: it is not JSON, as a page that a proxy puts in its place.
        """
        return read_json(self.body(), self.repairs)


class Client:
    """Authenticated, paced, retrying access to one Mixpanel project."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock = time,
        directory: Path,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            config: whose credentials, hosts, pace and retries to use.
            clock: the time, and how to wait.
            directory: where to note the requests made, for the runs that follow within the hour.
            progress: is told of requests, bytes and waits.
            stop: once set, nothing more is asked and nothing more is read.
        """
        self._config = config
        self._directory = directory
        self._clock = clock
        self._pace = Pace(per_second=config.requests_per_second, per_hour=config.requests_per_hour)
        self._hosts = {
            "query": config.base_url,
            "export": config.export_base_url,
            "ingestion": config.ingestion_base_url,
        }
        self._logs = request_logs(config, directory)
        self._watcher = progress or Progress()
        self._stop = stop or Event()
        self.requests = 0
        """Requests made, those that failed and those that are free included."""
        self._session = requests.Session()
        # as bytes: of text that is not latin-1 requests makes an error that shows it
        self._session.auth = HTTPBasicAuth(config.username.encode(), config.secret.encode())
        self._session.headers.update({"Accept-Encoding": "gzip", "User-Agent": "mixpanel-source"})

    def elsewhere(self, config: Config) -> Client:
        """A client for other hosts that keeps one pace with this one."""
        other = Client(config, clock=self._clock, directory=self._directory)
        other._pace = self._pace
        return other

    def send(
        self,
        request: Request,
        read: Callable[[Reply], T],
        *,
        patience_s: float = constants.QUOTA_PATIENCE_SECONDS,
    ) -> T:
        """Make a request, trying again where that may help, and return what `read` makes of it.

        Args:
            request: what to ask.
            read: consumes the reply; called once a try, so it has to start anew each time.
            patience_s: longest wait that the quota may impose.

        Raises:
            RequestError: Mixpanel refused, and would again.
            UnavailableError: the last of the tries failed as well.
            PausedError: the quota allows no request within `patience_s`.
            CancelledError: the run was told to stop.
        """
        give_up_at = self._clock.time() + patience_s
        retries = Retries(self._config.retries, base_s=self._config.retry_base_seconds)
        while True:
            self._wait_for_turn(request, give_up_at)
            try:
                return self._try(request, read, retries.tries + 1)
            except UnavailableError as error:
                resume_at = self._resume_at(request, error, retries)
                self._wait(request, resume_at, give_up_at, why=error)

    def _try(self, request: Request, read: Callable[[Reply], T], number: int) -> T:
        started_at = self._clock.time()
        self._watcher.asked(request.what)
        with _translated(request):
            response = self._open(request)
            with response:
                if response.status_code != requests.codes.ok:
                    raise self._refusal(request, response)
                heed = partial(self._heed, request)
                return read(Reply(response, started_at=started_at, tries=number, heed=heed))

    def _heed(self, request: Request, size: int = 0) -> None:
        """Tell of bytes that came; break off if the run is to stop."""
        self._watcher.received(request.what, size)
        if self._stop.is_set():
            raise CancelledError("Stopped, as asked.")

    def _open(self, request: Request) -> requests.Response:
        try:
            response = self._session.request(
                request.endpoint.method,
                self._hosts[request.endpoint.host] + self._path(request),
                params={**self._scope(request.endpoint), **request.params},
                data=request.form,
                stream=True,
                allow_redirects=False,
                timeout=(constants.CONNECT_TIMEOUT_SECONDS, constants.READ_TIMEOUT_SECONDS),
            )
        except requests.RequestException as error:
            self._record(request, metered=request.metered and not _never_arrived(error))
            raise
        # what is refused for the quota does not count against it
        limited = response.status_code == requests.codes.too_many_requests
        self._record(request, metered=request.metered and not limited)
        return response

    def _path(self, request: Request) -> str:
        at = {name: quote(value, safe="") for name, value in request.at.items()}
        return request.endpoint.path.format(project_id=self._config.project_id, **at)

    def _scope(self, endpoint: Endpoint) -> dict[str, str]:
        """The project and, where there are such, the data view that is asked."""
        scope = {"project_id": str(self._config.project_id)}
        if self._config.workspace_id is not None and endpoint.path.startswith(QUERY):
            scope["workspace_id"] = str(self._config.workspace_id)
        return scope

    def _record(self, request: Request, *, metered: bool) -> None:
        # only now is it sure that Mixpanel has the request: the next may not reach it too soon
        now = self._clock.time()
        self.requests += 1
        self._pace.record(request.quota, now, metered=metered)
        if metered:
            self._logs[request.quota].append(now)

    def _refusal(self, request: Request, response: requests.Response) -> MixpanelError:
        text = said(next(response.iter_content(REFUSAL_BYTES), b""))
        for value in request.hidden:
            text = text.replace(value, "...")
        return error_for(
            response.status_code,
            text,
            what=request.what,
            config=self._config,
            retry_after_s=asked_wait(response.headers, self._clock.time()),
        )

    def _resume_at(self, request: Request, error: UnavailableError, retries: Retries) -> float:
        """When to try again after `error`, which is raised anew if that is no use."""
        now = self._clock.time()
        limited = isinstance(error, RateLimitedError)
        delay_s = retries.next_delay(now, asked_s=error.retry_after_s, limited=limited)
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
        # the second between two requests is no wait for the quota
        self._wait(request, turn, give_up_at if turn > paced else float("inf"))

    def _wait(
        self, request: Request, until: float, give_up_at: float, *, why: Exception | None = None
    ) -> None:
        now = self._clock.time()
        at = datetime.fromtimestamp(until).astimezone().strftime("%H:%M:%S %Z")
        reason = why or (
            f"{request.what}: the requests of this hour to project_id {self._config.project_id} "
            "are used up."
        )
        for_quota = why is None or isinstance(why, RateLimitedError)
        if for_quota and until > give_up_at:
            raise PausedError(f"{reason} The next may be made at {at}; run again then.") from why
        if why is not None or until - now > constants.SHORT_WAIT_SECONDS:
            logger.warning("%s Going on at %s, in %.0f s.", reason, at, until - now)
            self._watcher.waiting(request.what, until, for_quota=for_quota)
        if until > now:
            self._clock.sleep(until - now)
        self._heed(request)


def _never_arrived(error: requests.RequestException) -> bool:
    """Whether no connection came about, so that nothing can have been counted."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), urllib3.exceptions.NewConnectionError)


def said(body: bytes) -> str:
    """The `error` text of a refusal, or what can be seen of another body."""
    try:
        reply: Any = json.loads(body)
    except ValueError:
        return "an HTML page" if b"<html" in body.lower() else ""
    error = reply.get("error", "") if isinstance(reply, dict) else ""
    return error if isinstance(error, str) else ""


@contextmanager
def _translated(request: Request) -> Iterator[None]:
    """Turn the errors of the HTTP library into ours."""
    try:
        yield
    except TruncatedError as error:
        raise TruncatedError(f"{request.what}: {error}.") from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise ServerError(f"{request.what}: Mixpanel did not answer in time.") from error
    except (
        requests.exceptions.ChunkedEncodingError,
        urllib3.exceptions.ProtocolError,
        urllib3.exceptions.SSLError,
    ) as error:
        raise TruncatedError(f"{request.what}: the connection broke before the end.") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        host = request.endpoint.host
        raise ServerError(
            f"{request.what}: no connection to the {host} host. Check the network, region and "
            f"{'base_url' if host == 'query' else f'{host}_base_url'}."
        ) from error
