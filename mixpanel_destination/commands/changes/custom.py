"""Any other request that changes a project, as the user writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import orjson

from mixpanel_source.errors import ConfigError

from ...api.call import Call, Reply
from ...api.client import Client
from ...endpoints import WriteEndpoint, find_endpoints
from ...settings import Settings
from .base import Outcome, Work, fill_path, plain_work, refusal, some

METHODS = ("POST", "PUT", "PATCH", "DELETE")
TOKEN = "{token}"  # noqa: S105 - a placeholder
BY_TOKEN = ("/track", "/engage", "/groups")
"""Paths whose requests go to the project of the token in them."""

# no dots alone, and nothing encoded that a server might decode into another path
_SEGMENT = r"/(?!\.+(?:/|$))(?:[A-Za-z0-9_.$~-]|%(?!2[5EFef]|5[Cc]|3[Bb]|00)[0-9A-Fa-f]{2})+"
_PATH = re.compile(
    rf"(/api/(app|query|2\.0)|/import|/track|/engage|/groups|/lookup-tables)(?=/|$)({_SEGMENT})*"
)
_TOKEN_NAMES = ("$token", "token")
_READING = re.compile(r"/api/(query|2\.0)/(?!nessie/|annotations/)")


def request(
    method: str,
    path: str,
    *,
    params: Mapping[str, str],
    body: bytes | None,
    content_type: str,
    settings: Settings,
) -> Work:
    """Prepare a request.

    Args:
        method: one of `METHODS`.
        path: of the URL, with or without `{project_id}`.
        params: of the query string.
        body: in which `{token}` stands for the project's token.
        content_type: of the body.
        settings: of the project.

    Raises:
        ConfigError: the method or the path is wrong, or the request is meant for another project.
    """
    project_id = settings.project_id
    method, path = method.upper(), fill_path(path, project_id)
    _check_path(method, path, project_id)
    _check_params(params, project_id)
    known = find_endpoints(method, path)
    _check_body(body, project_id)
    body = _fill_token(body, path, settings)
    account = known[0].account if known else "service account"
    call = Call(
        path=path,
        label=f"{method} {path}",
        method=method,
        host=_host(path),
        params=_with_token(params, known, settings),
        body=body,
        content_type=content_type,
        has_account=account == "service account" and path not in BY_TOKEN,
        by_oauth=account == "OAuth token",
        # what is not in the table may do anything
        is_repeatable=bool(known) and all(one.is_repeatable for one in known),
    )

    def send(client: Client) -> Outcome:
        return _read_outcome(client, client.send(call), call)

    size = f", {len(body):,} bytes" if body else ""
    lines = [f"{method} {path}{size}", *_describe(known)]
    return plain_work(call.label, lines, send, destroys=_destroyed(method, path, known, body))


def parse_params(texts: list[str]) -> dict[str, str]:
    """Parameters from `KEY=VALUE`.

    Raises:
        ConfigError: a text has no `=`.
    """
    pairs = [text.partition("=") for text in texts]
    if not all(name and equals for name, equals, _ in pairs):
        raise ConfigError("-p must be KEY=VALUE.")
    return {name: value for name, _, value in pairs}


def _check_path(method: str, path: str, project_id: int) -> None:
    if method not in METHODS:
        raise ConfigError(
            f"METHOD is {method}; it must be one of {', '.join(METHODS)}. To read, use "
            "mixpanel-source request."
        )
    if not _PATH.fullmatch(path):
        raise ConfigError(
            f"PATH is {path!r}; it must be one of Mixpanel's API, such as "
            "/api/app/projects/{project_id}/annotations, with parameters given by -p."
        )
    if _READING.match(path):
        raise ConfigError(f"{path} reads: use mixpanel-source request.")
    for named in re.findall(r"/projects/([^/]+)", unquote(path).lower()):
        if named != str(project_id):
            raise ConfigError(f"PATH names project {named}, not {project_id}.")


def _check_params(params: Mapping[str, str], project_id: int) -> None:
    given = params.get("project_id", str(project_id))
    if given != str(project_id):
        raise ConfigError(f"-p names project {given}, not {project_id}.")
    if "token" in params:
        raise ConfigError("-p must not have token: it is added where the endpoint takes it.")


def _check_body(body: bytes | None, project_id: int) -> None:
    """Check a project that is named in the body, which Mixpanel prefers to the query string."""
    try:
        value = orjson.loads(body or b"")
    except orjson.JSONDecodeError:
        value = dict(parse_qsl((body or b"").decode(errors="replace")))
    named = value.get("project_id", project_id) if isinstance(value, dict) else project_id
    if str(named) != str(project_id):
        raise ConfigError(f"the body names project {named}, not {project_id}.")


def _fill_token(body: bytes | None, path: str, settings: Settings) -> bytes | None:
    """The body with the project's token; it must have no other one."""
    if body is None or (path not in BY_TOKEN and TOKEN.encode() not in body):
        return body
    if settings.token is None:
        raise ConfigError(
            f"token is not set. Set it in [destination.{settings.name}] of .dlt/secrets.toml."
        )
    filled = body.replace(TOKEN.encode(), settings.token.encode())
    if path in BY_TOKEN:
        try:
            tokens = [*_find_tokens(orjson.loads(filled))]
        except orjson.JSONDecodeError:
            raise ConfigError(f"the body for {path} must be JSON.") from None
        if not tokens or any(token != settings.token for token in tokens):
            raise ConfigError(
                f"a token in the body is missing or not that of project {settings.project_id}: "
                f"write {TOKEN} in its place."
            )
    return filled


def _find_tokens(value: Any) -> Iterator[object]:  # noqa: ANN401 - any JSON value
    """The token of each object of a batch, None where it is missing."""
    for one in value if isinstance(value, list) else [value]:
        holder = one.get("properties", one) if isinstance(one, dict) else {}
        holder = holder if isinstance(holder, dict) else {}
        yield next((holder[name] for name in _TOKEN_NAMES if name in holder), None)


def _with_token(
    params: Mapping[str, str], known: list[WriteEndpoint], settings: Settings
) -> Mapping[str, str]:
    if not any("token" in one.required for one in known):
        return params
    if settings.token is None or settings.oauth_token is None:
        raise ConfigError(
            f"token and oauth_token must be set in [destination.{settings.name}] for this request."
        )
    return {**params, "token": settings.token}


def _host(path: str) -> Literal["query", "export", "ingestion"]:
    if path.startswith("/api/2.0/nessie/"):
        return "export"
    return "query" if path.startswith("/api/") else "ingestion"


def _describe(known: list[WriteEndpoint]) -> list[str]:
    if not known:
        return ["Mixpanel's specifications do not have this endpoint; what it does is not known."]
    return [f"This is {some([one.name for one in known])}."]


def _destroyed(method: str, path: str, known: list[WriteEndpoint], body: bytes | None) -> str:
    """What the request may destroy, as far as it can be known."""
    named = [one.destroys for one in known if one.destroys]
    if path in BY_TOKEN:
        # the body decides
        return some(named) if body and b"$delete" in body else ""
    if named:
        return some(named)
    if body and b'"truncate"' in body:
        return "the whole Lexicon, before the entries are added"
    return f"whatever is at {path}" if method == "DELETE" or not known else ""


def _read_outcome(client: Client, reply: Reply, call: Call) -> Outcome:
    body = reply.json()
    is_refused = isinstance(body, dict) and body.get("status") == 0
    if is_refused or body == 0 or reply.status >= HTTPStatus.BAD_REQUEST:
        raise refusal(client, reply, call)
    text = client.mask(reply.body.decode(errors="replace")) or f"status {reply.status}"
    return Outcome(text=text, facts={"status": reply.status, "reply": body})
