"""Turns a request into a response: routing, credentials, plan, rate limits, faults, endpoint."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from ..context import Context
from ..endpoints.engage import is_later_page
from ..faults import CountedRequest, Fault, FaultInjector
from ..messages import ApiError, Request, Response, api_error
from ..project import Project
from ..routes import Route, find_route
from ..writes import gdpr
from .auth import Authenticator, parse_basic
from .rate_limits import RateLimiter

PLAN_ERROR = "Your plan does not allow API calls. Upgrade at mixpanel.com/pricing"


@dataclass(frozen=True)
class Result:
    """A response and the fault injected into it, if any."""

    response: Response
    fault: Fault | None = None


class Dispatcher:
    """Dispatches requests to endpoints; independent of sockets."""

    def __init__(
        self,
        context: Context,
        *,
        authenticator: Authenticator,
        limiter: RateLimiter,
        unavailable: Collection[str],
    ) -> None:
        """Start with no requests counted.

        Args:
            context: Passed to the endpoints.
            authenticator: Checks credentials.
            limiter: Enforces rate limits.
            unavailable: Tables that return 402 on every plan.
        """
        self.faults = FaultInjector()
        self._context = context
        self._authenticator = authenticator
        self._limiter = limiter
        self._unavailable = unavailable
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    @contextmanager
    def dispatch(self, request: Request) -> Iterator[Result]:
        """Produce the response to a request; it counts as running until the context ends."""
        with ExitStack() as running:
            try:
                result = self._dispatch(request, running)
            except ApiError as error:
                result = Result(error.response)
            yield result

    def _dispatch(self, request: Request, running: ExitStack) -> Result:
        route, path_params = find_route(request.path, request.method)
        request = replace(request, path_params=path_params)
        counted = self._count(request, route.table if route else "")
        project = self._find_project(request)
        route = self._authorize(route, request, project)
        metered = route.table != "engage" or not is_later_page(request)
        running.enter_context(self._limiter.slot(route.family, request, metered=metered))
        fault = self.faults.take(counted)
        if fault is not None and fault.kind.expires_sessions:
            self._context.sessions.expire()
        if fault is not None and fault.kind.refuses and route.writes:
            return Result(fault.apply(Response()), fault)
        context = self._context.for_region(request.region).for_project(project)
        if route.writes:
            # one write at a time, except for those of the ingestion host, which lock for themselves
            if route.family != "ingestion":
                running.enter_context(context.inbox.lock)
        else:
            context.inbox.settle(project, context.clock())
            gdpr.carry_out(context)
        try:
            response = route.endpoint(context, request)
        except ApiError as error:
            return Result(error.response, fault)
        return Result(fault.apply(response) if fault else response, fault)

    def _count(self, request: Request, table: str) -> CountedRequest:
        with self._lock:
            self._counts[table] += 1
            return CountedRequest(
                request, table, number=self._counts.total(), table_number=self._counts[table]
            )

    def _find_project(self, request: Request) -> Project:
        """Return the project a request names by its id or token, else the first one."""
        wanted = request.path_params.get("project_id") or request.params.get("project_id")
        token = request.params.get("token") or parse_basic(request.authorization)[0]
        projects = self._context.projects
        by_token = {project.token: project for project in projects}
        by_id = {str(project.project_id): project for project in projects}
        return by_token.get(token) or by_id.get(wanted or "") or projects[0]

    def _authorize(self, route: Route | None, request: Request, project: Project) -> Route:
        if route is None:
            raise api_error(404, "Invalid API endpoint", request)
        if request.method not in route.methods:
            raise api_error(405, f"{request.method} is not allowed here", request)
        if not route.is_open:
            self._authenticator.authenticate(request, project)
        excluded_by_plan = project.plan == "free" and route.family == "query"
        if excluded_by_plan or route.table in self._unavailable:
            raise api_error(402, PLAN_ERROR)
        return route
