"""Finds the endpoint for a method and a path as a user writes them, if it only reads."""

from __future__ import annotations

import re
from posixpath import normpath
from urllib.parse import quote, unquote

from ..errors import ConfigError
from .endpoint import QUERY, Endpoint
from .endpoints import ENDPOINTS, UNMETERED_QUERIES

_FAMILIES = ("/api/query/", "/api/2.0/", "/api/app/")
"""Paths below these that are not in the table can be read with GET."""
_ACTIONS = """
activate add alias append archive assign batch bulk cancel clear clone copy create
deactivate delete disable drop duplicate edit enable execute generate hide identify
import increment insert invite launch login logout merge modify move new optout patch
pause post publish purge put remove rename replace reset restore resume revoke rotate
save schedule send set share start stop submit subscribe sync track transfer trigger
undelete union unset unsubscribe update upload upsert write
"""
"""Words in a path that name a change. Old addresses carry them out with GET as well."""
_NAMED_LIKE_ACTIONS = ("lexicon_of_name", "drop_filters")
"""Endpoints that read although their path names an action: the last part of the first is the name
of an event or a property, whatever it is."""
_MAX_ENCODINGS = 4


def find_endpoint(method: str, path: str) -> Endpoint:
    """The endpoint for a request that a user wrote, with its method and path.

    A path that is not in the table can be read with GET if no part of it names an action; it counts
    against the quota that it implies.

    Args:
        method: GET or POST.
        path: of the URL, with or without `{project_id}`, without parameters.

    Raises:
        ConfigError: it is not a path of the API, or the request might change something.
    """
    written = path
    method, path = method.upper(), _normalise(written)
    if not re.fullmatch(r"/(api/|lookup-tables(?=/|$))([^\s?#;{}]|\{project_id\})*", path):
        raise ConfigError(
            f"path is {written!r}; it must be one of Mixpanel's API, such as "
            "/api/query/events/names, with the parameters given by -p."
        )
    # the most specific first: .../annotations/tags also matches .../annotations/{annotation_id}
    names_action = _names_action(path)
    matching = (known for known in ENDPOINTS if _matches(known, path))
    candidates = sorted(matching, key=_placeholders)
    for candidate in candidates:
        if names_action and candidate.name not in _NAMED_LIKE_ACTIONS:
            continue
        if method in (candidate.method, "GET"):
            slash = "/" if candidate.path.endswith("/") else ""
            return candidate._replace(path=path + slash, method=method)
    if method != "GET":
        valid = candidates[0].method if candidates else "GET"
        raise ConfigError(
            f"method is {method}; {path} must be read by {valid}: requests that might change the "
            "project are refused."
        )
    if names_action or not path.startswith(_FAMILIES):
        raise ConfigError(
            f"path is {path}, which might change the project: only paths that are known to read "
            f"are requested, below {', '.join(_FAMILIES)} and /lookup-tables."
        )
    return Endpoint(
        "request", path, "overview", host=_host(path), quota=_quota(path), method=method
    )


def _normalise(path: str) -> str:
    """The path as a server reads it: decoded, without `.`, `..`, `//` and backslashes.

    It is this path that is judged, and this path that is sent.

    Returns:
        An empty text if there is no such form, because of control characters and the like.
    """
    decoded = path
    for _ in range(_MAX_ENCODINGS):
        decoded, before = unquote(decoded), decoded
        if decoded == before:
            break
    else:
        return ""
    decoded = decoded.replace("\\", "/")
    # servers differ in what they make of a semicolon
    if not decoded.startswith("/") or not decoded.isprintable() or ";" in decoded:
        return ""
    plain = normpath(f"/{decoded.lstrip('/')}")
    # blanks stay, and are refused, unless they were encoded
    safe = "/{}?#;:@!$&'()*+,=~" + (" " if " " in path else "")
    return quote(plain, safe=safe)


def _names_action(path: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", path)
    return not {*_ACTIONS.split()}.isdisjoint(re.split(r"[^a-z]+", words.lower()))


def _matches(endpoint: Endpoint, path: str) -> bool:
    aliased = re.sub(r"^/api/2\.0/(?!export|nessie)", f"{QUERY}/", path)
    pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(endpoint.path.rstrip("/")))
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
