"""The sandbox: a local Mixpanel over HTTP on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass, field
from types import TracebackType
from typing import Literal

from .context import Context, Sessions, WriteLimits
from .faults import Fault
from .project import Project
from .server.auth import PROJECT_SECRET, SECRET, USERNAME, Authenticator
from .server.connection import HttpServer, OpenConnections
from .server.dispatcher import Dispatcher
from .server.rate_limits import CONCURRENT_EXPORTS, HOUR_S, Limits, RateLimiter
from .server.request_log import Record, RequestLog
from .writes.inbox import Inbox
from .writes.meter import IngestionMeter

HOST = "127.0.0.1"
POLL_S = 0.02
GDPR_PER_SECOND = 1
LOOKUPS_PER_DAY = 100


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
    others: Sequence[Project] = field(default=(), repr=False)
    """Further projects of the same account, with ids of their own."""
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
    entities_per_minute: int | None = 4000
    """Maximum entries of the Lexicon written in a rolling minute."""
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
    events_per_minute: int | None = None
    """Maximum events imported in a rolling minute."""
    bytes_per_minute: int | None = None
    """Maximum uncompressed bytes imported in a rolling minute."""
    import_bytes: int = 10 * 1024 * 1024
    """Maximum uncompressed bytes of a request to /import; more is a 413."""
    visible_after_s: float = 0
    """Seconds until a written event is served."""
    dedup_after_s: float = 0
    """Seconds, after the last write to a day, until its duplicates disappear from the export."""
    keeps_events: bool = True
    """Whether written events are stored; without, they are only checked and counted."""
    rekeys: bool = False
    """Whether events get the canonical id of their person once ids are merged, with the former one
    in `$distinct_id_before_identity`."""
    unavailable: Collection[str] = ()
    """Tables (`export`, `engage`, `funnels`, ...) that return 402 on every plan."""
    faults: Sequence[Fault] = ()
    """Faults to inject; `inject` adds more while the sandbox runs."""
    log: Callable[[str], object] | None = None
    """Called with one line per request."""

    def __post_init__(self) -> None:
        """Build everything except the socket."""
        self._servers: dict[str, tuple[HttpServer, threading.Thread]] = {}
        self._sessions = Sessions()
        self._request_log = RequestLog(self.log)
        self._connections = OpenConnections()
        self._dispatcher = self._build_dispatcher()
        self._dispatcher.faults.add(*self.faults)

    def _build_dispatcher(self) -> Dispatcher:
        context = Context(
            project=self.project,
            projects=(self.project, *self.others),
            clock=self.clock,
            sessions=self._sessions,
            page_size=self.page_size,
            total_on_every_page=self.total_on_every_page,
            inbox=Inbox(
                visible_after_s=self.visible_after_s,
                dedup_after_s=self.dedup_after_s,
                keeps_events=self.keeps_events,
                rekeys=self.rekeys,
            ),
            meter=IngestionMeter(
                self.clock, events=self.events_per_minute, bytes_=self.bytes_per_minute
            ),
            entity_meter=IngestionMeter(self.clock, events=self.entities_per_minute),
            lookup_meter=IngestionMeter(self.clock, events=LOOKUPS_PER_DAY, span_s=24 * HOUR_S),
            write_limits=WriteLimits(self.import_bytes),
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
            "gdpr": Limits(None, None, per_second=GDPR_PER_SECOND),
        }
        limiter = RateLimiter(limits, clock=self.clock, headers=self.rate_limit_headers)
        return Dispatcher(
            context, authenticator=authenticator, limiter=limiter, unavailable=self.unavailable
        )

    def __enter__(self) -> Sandbox:
        """Start listening, and serve from a background thread."""
        self._connections.reopen()
        self._serve(self.project.region, self.port)
        for region in {project.region for project in self.others} - {self.project.region}:
            self._serve(region, 0)
        return self

    def _serve(self, region: str, port: int) -> None:
        server = HttpServer(
            (HOST, port),
            dispatcher=self._dispatcher,
            log=self._request_log,
            connections=self._connections,
            clock=self.clock,
            region=region,
        )
        thread = threading.Thread(
            target=server.serve_forever, args=(POLL_S,), name="mixpanel-sandbox"
        )
        thread.start()
        self._servers[region] = server, thread

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, close all connections and wait for their threads."""
        self._running()
        for server, thread in self._servers.values():
            server.shutdown()
            thread.join()
        self._connections.close()
        for server, _ in self._servers.values():
            server.server_close()
        self._servers.clear()

    @property
    def url(self) -> str:
        """Base URL of the first project's region: scheme, host and port, without a path."""
        return self.url_of(self.project.region)

    def url_of(self, region: str) -> str:
        """Base URL of a region, `us`, `eu` or `in`, that has a project."""
        self._running()
        server, _ = self._servers[region]
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
        self._running().join()

    def _running(self) -> threading.Thread:
        """Return the thread of the first project's region."""
        if not self._servers:
            raise RuntimeError(
                "the sandbox is not running: use `with Sandbox(project) as sandbox:`"
            )
        return self._servers[self.project.region][1]
