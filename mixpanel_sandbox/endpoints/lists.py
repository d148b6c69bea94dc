"""Endpoints that serve a whole list, without pages or filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..context import Context
from ..messages import Request, Response, json_response
from ..project import Project


def serve_list(
    read: Callable[[Project], object], *, envelope: Mapping[str, object] | None = None
) -> Callable[[Context, Request], Response]:
    """Return an endpoint that serves a list of the project.

    Args:
        read: Returns the list.
        envelope: Fields beside `results`, such as `{"status": "ok"}` in the app API; None serves
            a bare array.
    """

    def endpoint(context: Context, _request: Request) -> Response:
        results = read(context.project)
        return json_response(results if envelope is None else {**envelope, "results": results})

    return endpoint
