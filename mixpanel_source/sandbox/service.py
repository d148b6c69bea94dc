"""From a request to its reply: routes, credentials, plan, quota, faults, handler."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from .auth import Doorkeeper
from .cohorts import describe_account, list_cohorts
from .engage import engage, is_free
from .export import export
from .faults import Fault, FaultBox, Occasion
from .message import RefusedError, Reply, Request, refused
from .quota import Quota
from .world import World

PLAN_ERROR = "Your plan does not allow API calls. Upgrade at mixpanel.com/pricing"
PAID_TABLES = frozenset({"engage", "cohorts"})


@dataclass(frozen=True)
class Route:
    """What answers a path."""

    table: str
    family: str
    """The quota the path counts in."""
    methods: frozenset[str]
    handler: Callable[[World, Request], Reply]


_GET = frozenset({"GET"})
_GET_OR_POST = frozenset({"GET", "POST"})
_EXPORT = Route("export", "export", _GET, export)
_ENGAGE = Route("engage", "query", _GET_OR_POST, engage)
_COHORTS = Route("cohorts", "query", _GET_OR_POST, list_cohorts)
_ME = Route("me", "app", _GET, describe_account)

ROUTES = {
    "/api/2.0/export": _EXPORT,
    "/api/query/engage": _ENGAGE,
    "/api/2.0/engage": _ENGAGE,
    "/api/query/cohorts/list": _COHORTS,
    "/api/2.0/cohorts/list": _COHORTS,
    "/api/app/me": _ME,
}


@dataclass(frozen=True)
class Answer:
    """A reply and the fault in it, if any."""

    reply: Reply
    fault: Fault | None = None


class Service:
    """Answers requests; knows nothing of sockets."""

    def __init__(
        self, world: World, *, doorkeeper: Doorkeeper, quota: Quota, unavailable: Collection[str]
    ) -> None:
        """Start with no request counted.

        Args:
            world: The project and what its handlers need.
            doorkeeper: Checks credentials.
            quota: Counts calls.
            unavailable: Tables answered with 402 on every plan.
        """
        self.faults = FaultBox()
        self._world = world
        self._doorkeeper = doorkeeper
        self._quota = quota
        self._unavailable = unavailable
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()

    @contextmanager
    def answer(self, request: Request) -> Iterator[Answer]:
        """Hold the reply to a request; leaving frees its place among those running."""
        with ExitStack() as place:
            try:
                answer = self._answer(request, place)
            except RefusedError as error:
                answer = Answer(error.reply)
            yield answer

    def _answer(self, request: Request, place: ExitStack) -> Answer:
        route = ROUTES.get(request.path)
        occasion = self._count(request, route.table if route else "")
        route = self._admit(route, request)
        metered = route.table != "engage" or not is_free(request)
        place.enter_context(self._quota.call(route.family, request, metered=metered))
        fault = self.faults.take(occasion)
        if fault is not None and fault.kind.expires_sessions:
            self._world.sessions.expire()
        try:
            reply = route.handler(self._world, request)
        except RefusedError as error:
            return Answer(error.reply, fault)
        return Answer(fault.apply(reply) if fault else reply, fault)

    def _count(self, request: Request, table: str) -> Occasion:
        with self._lock:
            self._numbers[table] += 1
            numbers = self._numbers.total(), self._numbers[table]
        return Occasion(request, table, *numbers)

    def _admit(self, route: Route | None, request: Request) -> Route:
        if route is None:
            raise refused(404, "Invalid API endpoint", request)
        if request.method not in route.methods:
            raise refused(405, f"{request.method} is not allowed here", request)
        project = self._world.project
        self._doorkeeper.admit(request, project.project_id)
        on_free_plan = project.plan == "free" and route.table in PAID_TABLES
        if on_free_plan or route.table in self._unavailable:
            raise refused(402, PLAN_ERROR)
        return route
