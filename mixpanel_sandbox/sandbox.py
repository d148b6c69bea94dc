"""The sandbox: a local Mixpanel over HTTP on loopback."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass, field
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Literal

from .context import Sessions, World
from .faults import Fault
from .project import Project
from .server.auth import PROJECT_SECRET, SECRET, USERNAME, Doorkeeper
from .server.connection import Handler, Record, Site
from .server.dispatcher import Service
from .server.rate_limits import CONCURRENT_EXPORTS, Limits, Quota

Incoming = socket.socket | tuple[bytes, socket.socket]

HOST = "127.0.0.1"
POLL_S = 0.02


class _Server(ThreadingHTTPServer):
    """Threads that end with their connections; quiet about clients that hang up."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        super().__init__(address, type("SiteHandler", (Handler,), {"site": site}))

    def server_bind(self) -> None:
        """Bind without the look-up of a host name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Incoming, client_address: object) -> None:
        """Report what is no hang-up."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@dataclass(eq=False)
class Sandbox:
    """A local Mixpanel, running inside `with Sandbox(project) as sandbox:`.

    It can be left and entered again; sessions, quotas, faults and records go on.

    Limits of 0 or None are no limit. All limits by time go by `clock`: under a clock that stands
    still, `exports_per_second` allows three exports in all.
    """

    project: Project = field(repr=False)
    """What is served; it may be changed while the sandbox runs."""
    _: KW_ONLY
    port: int = 0
    """0 takes a free port."""
    username: str = USERNAME
    """The service account."""
    secret: str = field(default=SECRET, repr=False)
    """The secret of the service account."""
    project_secret: str = field(default=PROJECT_SECRET, repr=False)
    """Admits as user name with an empty password."""
    clock: Callable[[], float] = time.time
    """Epoch seconds; decides which day is today and when an hour is over."""
    queries_per_hour: int | None = 60
    exports_per_hour: int | None = 60
    exports_per_second: int | None = 3
    concurrent_queries: int | None = 5
    schemas_per_minute: int | None = 5
    rate_limit_headers: bool = True
    """Whether a 429 says when to try again."""
    page_size: int = 1000
    """Profiles a page where the request does not say."""
    total_on_every_page: bool = False
    """Whether `total` and `page_size` are on pages after the first."""
    auth_failures: Literal[400, 401] = 401
    """Status of wrong credentials."""
    wrong_region: bool = False
    """Answer as the host of a region the project is not in."""
    unavailable: Collection[str] = ()
    """Tables (`export`, `engage`, `funnels`, ...) answered with 402 whatever the plan."""
    faults: Sequence[Fault] = ()
    """What goes wrong; `inject` adds more while the sandbox runs."""
    log: Callable[[str], object] | None = None
    """Called with one line for each request."""

    def __post_init__(self) -> None:
        """Build what answers, without a socket yet."""
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._sessions = Sessions()
        world = World(
            project=self.project,
            clock=self.clock,
            sessions=self._sessions,
            page_size=self.page_size,
            total_on_every_page=self.total_on_every_page,
        )
        doorkeeper = Doorkeeper(
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
        quota = Quota(limits, clock=self.clock, headers=self.rate_limit_headers)
        self._service = Service(
            world, doorkeeper=doorkeeper, quota=quota, unavailable=self.unavailable
        )
        self._service.faults.add(*self.faults)
        self._site = Site(self._service, self.log)

    def __enter__(self) -> Sandbox:
        """Listen, and answer on threads of its own."""
        self._site.reopen()
        self._server = _Server((HOST, self.port), self._site)
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
        """Stop listening, hang up on all clients and wait for the threads to end."""
        server, thread = self._running()
        server.shutdown()
        thread.join()
        self._site.hang_up()
        server.server_close()
        self._server = self._thread = None

    @property
    def url(self) -> str:
        """Where it listens: scheme, host and port, no path."""
        server, _ = self._running()
        return f"http://{HOST}:{server.server_address[1]}"

    @property
    def requests(self) -> list[Record]:
        """All requests so far, in the order of their start."""
        return self._site.records()

    def inject(self, *faults: Fault) -> None:
        """Let more go wrong from now on."""
        self._service.faults.add(*faults)

    def expire_sessions(self) -> None:
        """Forget the profile queries that are being paged through."""
        self._sessions.expire()

    def forget_requests(self) -> None:
        """Empty `requests`; quotas and fault counters go on."""
        self._site.forget()

    def serve_forever(self) -> None:
        """Block until the process is interrupted.

        Raises:
            KeyboardInterrupt: It was.
        """
        self._running()[1].join()

    def _running(self) -> tuple[_Server, threading.Thread]:
        if self._server is None or self._thread is None:
            raise RuntimeError(
                "the sandbox is not running: use `with Sandbox(project) as sandbox:`"
            )
        return self._server, self._thread
