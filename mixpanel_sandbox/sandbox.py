"""The sandbox: a local Mixpanel over HTTP on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass, field
from types import TracebackType
from typing import Literal

from .context import Context, Sessions
from .faults import Fault
from .project import Project
from .server.auth import PROJECT_SECRET, SECRET, USERNAME, Authenticator
from .server.connection import HttpServer, OpenConnections
from .server.dispatcher import Dispatcher
from .server.rate_limits import CONCURRENT_EXPORTS, Limits, RateLimiter
from .server.request_log import Record, RequestLog

HOST = "127.0.0.1"
POLL_S = 0.02


@dataclass(eq=False)
class Sandbox:
    """A local Mixpanel that runs inside `with Sandbox(project) as sandbox:`.

    It can be entered again after it was left; sessions, rate limits, faults and the request log
    continue.

    Limits of 0 or None are unlimited. All limits over time use `clock`: with a clock that stands
    still, `exports_per_second` allows three exports in total.
    """

    project: Project = field(repr=False)
    """The project served; it may be changed while the sandbox runs."""
    _: KW_ONLY
    port: int = 0
    """0 picks a free port."""
    username: str = USERNAME
    """User name of the service account."""
    secret: str = field(default=SECRET, repr=False)
    """Secret of the service account."""
    project_secret: str = field(default=PROJECT_SECRET, repr=False)
    """Accepted as user name with an empty password."""
    clock: Callable[[], float] = time.time
    """Returns epoch seconds; used for the current date and for rate limits."""
    queries_per_hour: int | None = 60
    exports_per_hour: int | None = 60
    exports_per_second: int | None = 3
    concurrent_queries: int | None = 5
    schemas_per_minute: int | None = 5
    rate_limit_headers: bool = True
    """Whether a 429 has `Retry-After` and `RateLimit` headers."""
    page_size: int = 1000
    """Default profiles per page."""
    total_on_every_page: bool = False
    """Whether profile pages after the first have `total` and `page_size`."""
    auth_failures: Literal[400, 401] = 401
    """Status for wrong credentials."""
    wrong_region: bool = False
    """Answer like the host of a region that does not have the project."""
    unavailable: Collection[str] = ()
    """Tables (`export`, `engage`, `funnels`, ...) that return 402 on every plan."""
    faults: Sequence[Fault] = ()
    """Faults to inject; `inject` adds more while the sandbox runs."""
    log: Callable[[str], object] | None = None
    """Called with one line per request."""

    def __post_init__(self) -> None:
        """Build everything except the socket."""
        self._server: HttpServer | None = None
        self._thread: threading.Thread | None = None
        self._sessions = Sessions()
        self._request_log = RequestLog(self.log)
        self._connections = OpenConnections()
        self._dispatcher = self._build_dispatcher()
        self._dispatcher.faults.add(*self.faults)

    def _build_dispatcher(self) -> Dispatcher:
        context = Context(
            project=self.project,
            clock=self.clock,
            sessions=self._sessions,
            page_size=self.page_size,
            total_on_every_page=self.total_on_every_page,
        )
        authenticator = Authenticator(
            username=self.username,
            secret=self.secret,
            project_secret=self.project_secret,
            failure_status=self.auth_failures,
            wrong_region=self.wrong_region,
        )
        limits = {
            "query": Limits(self.queries_per_hour, self.concurrent_queries),
            "export": Limits(self.exports_per_hour, CONCURRENT_EXPORTS, self.exports_per_second),
            "lexicon": Limits(None, None, per_minute=self.schemas_per_minute),
        }
        limiter = RateLimiter(limits, clock=self.clock, headers=self.rate_limit_headers)
        return Dispatcher(
            context, authenticator=authenticator, limiter=limiter, unavailable=self.unavailable
        )

    def __enter__(self) -> Sandbox:
        """Start listening, and serve from a background thread."""
        self._connections.reopen()
        self._server = HttpServer(
            (HOST, self.port),
            dispatcher=self._dispatcher,
            log=self._request_log,
            connections=self._connections,
            clock=self.clock,
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name="mixpanel-sandbox"
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, close all connections and wait for their threads."""
        server, thread = self._running()
        server.shutdown()
        thread.join()
        self._connections.close()
        server.server_close()
        self._server = self._thread = None

    @property
    def url(self) -> str:
        """Base URL: scheme, host and port, without a path."""
        server, _ = self._running()
        return f"http://{HOST}:{server.server_address[1]}"

    @property
    def requests(self) -> list[Record]:
        """All requests so far, ordered by their start."""
        return self._request_log.records()

    def inject(self, *faults: Fault) -> None:
        """Add faults from now on."""
        self._dispatcher.faults.add(*faults)

    def expire_sessions(self) -> None:
        """Drop all profile query sessions."""
        self._sessions.expire()

    def forget_requests(self) -> None:
        """Empty `requests`; rate limits and fault counters are kept."""
        self._request_log.clear()

    def serve_forever(self) -> None:
        """Block until the sandbox is left or the process interrupted.

        Raises:
            KeyboardInterrupt: The process was interrupted.
        """
        self._running()[1].join()

    def _running(self) -> tuple[HttpServer, threading.Thread]:
        if self._server is None or self._thread is None:
            raise RuntimeError(
                "the sandbox is not running: use `with Sandbox(project) as sandbox:`"
            )
        return self._server, self._thread
