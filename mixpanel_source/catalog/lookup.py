"""Finds the endpoint for a method and a path as a user writes them."""

from __future__ import annotations

import re

from ..errors import ConfigError
from .endpoints import ENDPOINTS, QUERY, UNMETERED_QUERIES, Endpoint


def find_endpoint(method: str, path: str) -> Endpoint:
    """The endpoint for a request that a user wrote, with its method and path.

    Any path can be read with GET; one that is not in the table counts against the quota that its
    path implies.

    Args:
        method: GET or POST.
        path: of the URL, with or without `{project_id}`, without parameters.

    Raises:
        ConfigError: it is not a path of the API, or the request might change something.
    """
    method, path = method.upper(), path.rstrip("/")
    if not re.fullmatch(r"/(api/|lookup-tables)([^\s?#{}]|\{project_id\})*", path):
        raise ConfigError(
            f"path is {path!r}; it must be one of Mixpanel's API, such as /api/query/events/names, "
            "with the parameters given by -p."
        )
    # the most specific first: .../annotations/tags also matches .../annotations/{annotation_id}
    matching = (known for known in ENDPOINTS if _matches(known, path))
    candidates = sorted(matching, key=_placeholders)
    for candidate in candidates:
        if method in (candidate.method, "GET"):
            return candidate._replace(path=path, method=method)
    if method != "GET":
        valid = candidates[0].method if candidates else "GET"
        raise ConfigError(
            f"method is {method}; {path} must be read by {valid}: requests that might change the "
            "project are refused."
        )
    return Endpoint(
        "request", path, "overview", host=_host(path), quota=_quota(path), method=method
    )


def _matches(endpoint: Endpoint, path: str) -> bool:
    aliased = re.sub(r"^/api/2\.0/(?!export|nessie)", f"{QUERY}/", path)
    pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(endpoint.path))
    return re.fullmatch(pattern, aliased) is not None


def _placeholders(endpoint: Endpoint) -> int:
    return endpoint.path.count("{")


def _host(path: str) -> str:
    if path.startswith(("/api/2.0/export", "/api/2.0/nessie")):
        return "export"
    return "ingestion" if path.startswith("/lookup-tables") else "query"


def _quota(path: str) -> str | None:
    part = re.match(r"/api/(?:query|2\.0)/([^/]+)", path)
    counted = part is not None and part[1] not in (*UNMETERED_QUERIES, "nessie")
    return "query" if counted else None
