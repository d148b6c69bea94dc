"""HTTP messages as endpoints see them: parsed requests and responses not yet encoded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from enum import Enum, auto
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

Params = dict[str, str]

_READS_PARAMS_FROM_BODY = ("/api/query/", "/api/2.0/")
# Mixpanel's name of the only status sent here that Python 3.13 renamed, to "Content Too Large"
_REASONS = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large"}


class Ending(Enum):
    """How the bytes of a response end."""

    COMPLETE = auto()
    UNTERMINATED = auto()
    """The connection closes before the framing marks the end of the body."""
    RESET = auto()
    """The connection is reset (RST) before the framing marks the end of the body."""
    UNFINISHED_GZIP = auto()
    """The framing is complete, but the gzip stream inside it has no end."""
    NOTHING_SENT = auto()
    """The connection closes before any byte is sent."""


@dataclass(frozen=True)
class Request:
    """A parsed request."""

    method: str
    target: str
    """Raw path and query string."""
    path: str
    """Path without a trailing slash."""
    params: Params
    """Parameters of the query string and, on the query and export hosts, of the body, which take
    precedence."""
    authorization: str = ""
    """Value of the `Authorization` header."""
    accepts_gzip: bool = False
    body: bytes = field(default=b"", repr=False)
    """Raw body, possibly compressed."""
    content_type: str = ""
    """Media type of the body, without parameters."""
    content_encoding: str = ""
    region: str = "us"
    """Region of the host the request was sent to."""
    path_params: Params = field(default_factory=dict)
    """Values of the placeholders in the path of the route."""


@dataclass(frozen=True)
class Response:
    """A response before compression and framing."""

    status: int = 200
    blocks: Iterable[bytes] = ()
    """The body, in the order it is sent."""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    ending: Ending = Ending.COMPLETE
    delay_s: float = 0.0
    """Seconds to wait before the first byte."""
    stall_s: float = 0.0
    """Seconds to wait before the last bytes."""


class ApiError(Exception):
    """Aborts a request with an error response."""

    def __init__(self, response: Response) -> None:
        """Store the response to send."""
        super().__init__(response.status)
        self.response = response


def reason_phrase(status: int) -> str:
    """Return the name of a status as Mixpanel writes it, the same on every version of Python."""
    known = HTTPStatus(status)
    return _REASONS.get(known, known.phrase)


def json_bytes(value: object) -> bytes:
    """Serialise `value` as compact JSON; lone surrogates, which UTF-8 cannot hold, are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def json_response(
    value: object, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with `value` as its JSON body."""
    return Response(status=status, blocks=(json_bytes(value),), headers=headers or {})


def api_error(status: int, error: str, request: Request | None = None) -> ApiError:
    """Return the exception to raise for an error response.

    Args:
        status: HTTP status.
        error: Error message.
        request: Decides the JSON envelope, which differs by host: the query and export hosts echo
            the request target under `request`. Without it the body has only `error`.
    """
    return ApiError(json_response(_error_body(status, error, request), status))


def _error_body(status: int, error: str, request: Request | None) -> dict[str, object]:
    if request is None:
        return {"error": error}
    if request.path.startswith(("/api/app/", "/api/2.0/nessie/")):
        return {"status": "error", "error": error}
    if not request.path.startswith("/api/"):
        return {"code": status, "error": error, "status": reason_phrase(status)}
    return {"request": request.target, "error": error}


def parse_request(method: str, target: str, headers: Message, body: bytes) -> Request:
    """Parse a request, merging the parameters of its query string and its body."""
    url = urlsplit(target)
    path = url.path.rstrip("/") or "/"
    # elsewhere the body is data: up to 10 MB that would end up in the request log
    has_params = path.startswith(_READS_PARAMS_FROM_BODY)
    return Request(
        method=method,
        target=target,
        path=path,
        params={**_parse_form(url.query), **(_parse_body(body) if has_params else {})},
        authorization=headers.get("Authorization", ""),
        accepts_gzip="gzip" in headers.get("Accept-Encoding", ""),
        body=body,
        content_type=headers.get_content_type() if headers.get("Content-Type") else "",
        content_encoding=headers.get("Content-Encoding", "").lower(),
    )


def _parse_body(body: bytes) -> Params:
    # the content type is ignored: clients send JSON labelled as a form
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
