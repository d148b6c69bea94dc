"""What the sandbox is asked and what it answers, before either is bytes on a socket."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from enum import Enum, auto
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

Params = dict[str, str]


class Ending(Enum):
    """How the bytes of a reply end."""

    WHOLE = auto()
    UNTERMINATED = auto()
    """The connection closes before the framing says the body is over."""
    RESET = auto()
    """The connection is reset (RST) before the framing says the body is over."""
    OPEN_GZIP = auto()
    """The framing is whole, but the gzip stream in it has no end."""
    SILENCE = auto()
    """The connection closes and not a byte was sent."""


@dataclass(frozen=True)
class Request:
    """One request, its URL and body parameters merged."""

    method: str
    target: str
    """The path and the query as they came."""
    path: str
    """The path without a trailing slash."""
    params: Params
    authorization: str = ""
    accepts_gzip: bool = False
    captured: Params = field(default_factory=dict)
    """What the path says, by the names its route has for it."""


@dataclass(frozen=True)
class Reply:
    """One reply; `blocks` is its body in the order of sending, not yet compressed or framed."""

    status: int = 200
    blocks: Iterable[bytes] = ()
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    ending: Ending = Ending.WHOLE
    delay_s: float = 0.0
    """Before the first byte."""
    stall_s: float = 0.0
    """Before the last bytes."""


class RefusedError(Exception):
    """The request gets `reply` instead of what it asked for."""

    def __init__(self, reply: Reply) -> None:
        """Keep the reply to send."""
        super().__init__(reply.status)
        self.reply = reply


def json_bytes(value: object) -> bytes:
    """Return `value` as compact JSON; what UTF-8 cannot hold is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def json_reply(
    value: object, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Reply:
    """Return a reply whose body is `value` as JSON."""
    return Reply(status=status, blocks=(json_bytes(value),), headers=headers or {})


def refused(status: int, error: str, request: Request | None = None) -> RefusedError:
    """Return the error to raise for a reply in the words of the host that was asked.

    Args:
        status: HTTP status.
        error: The text under `error`.
        request: Decides the envelope; the query and export hosts echo it under `request`. Without
            it the body has `error` only.
    """
    return RefusedError(json_reply(_describe_error(status, error, request), status))


def _describe_error(status: int, error: str, request: Request | None) -> dict[str, object]:
    if request is None:
        return {"error": error}
    if request.path.startswith(("/api/app/", "/api/2.0/nessie/")):
        return {"status": "error", "error": error}
    if request.path == "/lookup-tables":
        return {"code": status, "error": error, "status": HTTPStatus(status).phrase}
    return {"request": request.target, "error": error}


def parse_request(method: str, target: str, headers: Message, body: bytes) -> Request:
    """Return the request with the parameters of its body over those of its URL."""
    url = urlsplit(target)
    return Request(
        method=method,
        target=target,
        path=url.path.rstrip("/") or "/",
        params={**_parse_form(url.query), **_parse_body(body)},
        authorization=headers.get("Authorization", ""),
        accepts_gzip="gzip" in headers.get("Accept-Encoding", ""),
    )


def _parse_body(body: bytes) -> Params:
    # the content type is not looked at: clients send JSON under the type of a form
    text = body.decode("utf-8", errors="replace")
    try:
        parsed = json.loads(text)
    except ValueError:
        return _parse_form(text)
    if not isinstance(parsed, dict):
        return _parse_form(text)
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in parsed.items()
    }


def _parse_form(text: str) -> Params:
    values = parse_qs(text, keep_blank_values=True)
    return {
        name: given[0] if len(given) == 1 else json.dumps(given) for name, given in values.items()
    }
