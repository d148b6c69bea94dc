"""From a request to its reply: routes, credentials, plan, quota, faults, handler."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from ..context import World
from ..endpoints.engage import is_free
from ..faults import Fault, FaultBox, Occasion
from ..messages import RefusedError, Reply, Request, refused
from ..routes import Route, find_route
from .auth import Doorkeeper
from .rate_limits import Quota

PLAN_ERROR = "Your plan does not allow API calls. Upgrade at mixpanel.com/pricing"


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
        route, captured = find_route(request.path)
        request = replace(request, captured=captured)
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
        on_free_plan = project.plan == "free" and route.family == "query"
        if on_free_plan or route.table in self._unavailable:
            raise refused(402, PLAN_ERROR)
        return route
