"""What can go wrong: a table of faults, each one change of the reply that would have been right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus

from .messages import Ending, Reply, json_bytes, json_reply
from .routes import TABLES

Change = Callable[[Reply, float], Reply]
"""From the right reply, and seconds that some faults need, to the wrong one."""
Spoil = Callable[[bytes], bytes]
"""From the last block of a body to what is sent of it."""

EXPORT = frozenset({"export"})
ENGAGE = frozenset({"engage"})

_PROPERTIES = re.compile(rb'"properties"\s*:\s*\{(?=\s*")')


@dataclass(frozen=True)
class Kind:
    """One way to fail."""

    what: str
    """Said in one line."""
    change: Change
    tables: frozenset[str] = TABLES
    needs_gzip: bool = False
    """Only strikes where the client accepts gzip."""
    expires_sessions: bool = False
    seconds: float = 0.0
    """What the change gets as seconds unless the fault says otherwise."""


def _keep(reply: Reply, _seconds: float) -> Reply:
    return reply


def _answer(status: int, body: bytes, content_type: str = "application/json") -> Change:
    return lambda _reply, _seconds: Reply(status, (body,), content_type)


def _answer_html(status: int) -> Change:
    phrase = HTTPStatus(status).phrase
    page = f"<html><head><title>{status} {phrase}</title></head><body>{phrase}</body></html>\n"
    return _answer(status, page.encode(), "text/html; charset=utf-8")


def _answer_error(status: int, error: str) -> Change:
    return _answer(status, json_bytes({"error": error}))


def _answer_429(*headers: str) -> Change:
    def change(_reply: Reply, seconds: float) -> Reply:
        values = {
            "Retry-After": f"{seconds:.0f}",
            "RateLimit": f'"project";r=0;t={seconds:.0f}',
            "RateLimit-Policy": '"project";q=60;w=3600',
        }
        body = {"error": "Query rate limit exceeded for this project"}
        return json_reply(body, 429, headers={name: values[name] for name in headers})

    return change


def _delay(reply: Reply, seconds: float) -> Reply:
    return replace(reply, delay_s=seconds)


def _stall(reply: Reply, seconds: float) -> Reply:
    return replace(reply, stall_s=seconds)


def _end(ending: Ending, spoil: Spoil = bytes) -> Change:
    def change(reply: Reply, _seconds: float) -> Reply:
        return replace(reply, ending=ending, blocks=_spoil_last(reply.blocks, spoil))

    return change


def _spoil_last(blocks: Iterable[bytes], spoil: Spoil) -> Iterator[bytes]:
    held = b""
    for block in blocks:
        if held:
            yield held
        held = block
    yield spoil(held)


def _cut_in_line(block: bytes) -> bytes:
    start = block.rfind(b"\n", 0, len(block) // 2) + 1
    end = block.find(b"\n", start)
    return block[: (start + (end if end > 0 else len(block))) // 2]


def _cut_at_line(block: bytes) -> bytes:
    if b"\n" not in block:
        return block[: len(block) // 2]
    return block[: block.rfind(b"\n", 0, len(block) // 2) + 1]


def _append(text: bytes) -> Spoil:
    return lambda block: _cut_at_line(block) + text


def _insert(text: bytes) -> Change:
    """Put `text` into a string of a property that the first event gets on top."""
    note = b'"properties":{"note":"before' + text + b'after",'

    def insert(blocks: Iterable[bytes]) -> Iterator[bytes]:
        for number, block in enumerate(blocks):
            yield block if number else _PROPERTIES.sub(lambda _: note, block, count=1)

    return lambda reply, _seconds: replace(reply, blocks=insert(reply.blocks))


def _halve_results(reply: Reply, _seconds: float) -> Reply:
    body = json.loads(b"".join(reply.blocks))
    body["results"] = body["results"][: len(body["results"]) // 2]
    return replace(reply, blocks=(json_bytes(body),))


KINDS: dict[str, Kind] = {
    "429": Kind("429 that says Retry-After", _answer_429("Retry-After"), seconds=10),
    "429_headers": Kind(
        "429 with RateLimit headers only", _answer_429("RateLimit", "RateLimit-Policy"), seconds=10
    ),
    "429_bare": Kind("429 that says nothing about when", _answer_429()),
    **{
        f"{status}": Kind(f"{status} with a page of HTML", _answer_html(status))
        for status in (500, 502, 503, 504)
    },
    **{
        f"{status}_empty": Kind(f"{status} without a body", _answer(status, b""))
        for status in (500, 502, 503, 504)
    },
    "html": Kind("200 with a page of HTML", _answer_html(200)),
    "timeout": Kind("400 that means a timeout", _answer_error(400, "Timeout Error.")),
    "401": Kind("401, credentials refused", _answer_error(401, "Invalid credentials")),
    "402": Kind(
        "402, not on this plan",
        _answer_error(402, "Your plan does not allow API calls. Upgrade at mixpanel.com/pricing"),
    ),
    "403": Kind("403, no permission", _answer_error(403, "Permission denied")),
    "slow": Kind("first byte after some seconds", _delay, seconds=0.2),
    "stall": Kind("last bytes after some seconds", _stall, seconds=0.2),
    "closed": Kind("connection closed before the status line", _end(Ending.SILENCE)),
    "reset": Kind("connection reset in mid-body", _end(Ending.RESET, _cut_in_line)),
    "unterminated": Kind(
        "connection closed at a line border, framing not ended",
        _end(Ending.UNTERMINATED, _cut_at_line),
    ),
    "half_line": Kind(
        "body ends in mid-line, framing whole", _end(Ending.WHOLE, _cut_in_line), EXPORT
    ),
    "open_gzip": Kind(
        "gzip stream without an end, framing whole",
        _end(Ending.OPEN_GZIP, _cut_at_line),
        EXPORT,
        needs_gzip=True,
    ),
    "no_newline": Kind(
        "last line without its newline, all else whole",
        _end(Ending.WHOLE, lambda block: block.removesuffix(b"\n")),
        EXPORT,
    ),
    "short": Kind(
        "lines missing at the end, nothing shows it", _end(Ending.WHOLE, _cut_at_line), EXPORT
    ),
    "error_fragment": Kind(
        'last line is {"error":', _end(Ending.WHOLE, _append(b'{"error":')), EXPORT
    ),
    **{
        name: Kind(
            f"last line is {text}", _end(Ending.WHOLE, _append(text.encode() + b"\n")), EXPORT
        )
        for name, text in (
            ("terminated_early", "terminated early"),
            ("export_terminated_early", "export terminated early"),
            ("terminated_early_title", "Terminated Early"),
            ("terminated_early_upper", "EXPORT TERMINATED EARLY"),
        )
    },
    "raw_newline": Kind("newline inside a string", _insert(b"\n"), EXPORT),
    "line_separator": Kind("U+2028 inside a string", _insert("\u2028".encode()), EXPORT),
    "expired_session": Kind(
        "every session is forgotten first", _keep, ENGAGE, expires_sessions=True
    ),
    "short_page": Kind("a page holds half of its results", _halve_results, ENGAGE),
}
"""Every fault by name."""
