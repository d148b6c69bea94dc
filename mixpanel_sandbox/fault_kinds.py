"""The faults that can be injected, each a transformation of the correct response."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from .messages import Ending, Response, json_bytes, json_response, reason_phrase
from .routes import TABLES, WRITTEN_TABLES
from .writes.fault_edits import (
    STATUS_0,
    Record,
    drop_id,
    edit_failures,
    ingestion_error,
    name_with_dollar,
)
from .writes.meter import ERROR as INGESTION_LIMIT_ERROR

Change = Callable[[Response, float], Response]
"""Turns the correct response into the faulty one; the number is the fault's seconds."""
Edit = Callable[[bytes], bytes]
"""Edits the last block of a body."""

EXPORT = frozenset({"export"})
ENGAGE = frozenset({"engage"})
IMPORT = frozenset({"import"})
VERDICTS = frozenset({"track", "profile_updates", "group_updates"})

_PROPERTIES = re.compile(rb'"properties"\s*:\s*\{(?=\s*")')


@dataclass(frozen=True)
class FaultKind:
    """A kind of fault."""

    description: str
    """One line."""
    change: Change
    tables: frozenset[str] = TABLES
    needs_gzip: bool = False
    """Whether it only applies if the client accepts gzip."""
    expires_sessions: bool = False
    """Whether all profile query sessions are dropped first."""
    refuses: bool = False
    """Whether a writing request is answered without being carried out."""
    seconds: float = 0.0
    """Default seconds passed to `change`."""


def _refusal(
    description: str, change: Change, tables: frozenset[str] = TABLES, *, seconds: float = 0.0
) -> FaultKind:
    """Return a kind after which nothing of a writing request is stored."""
    return FaultKind(description, change, tables, refuses=True, seconds=seconds)


def _unchanged(response: Response, _seconds: float) -> Response:
    return response


def _respond(status: int, body: bytes, content_type: str = "application/json") -> Change:
    return lambda _response, _seconds: Response(status, (body,), content_type)


def _html(status: int) -> Change:
    phrase = reason_phrase(status)
    page = f"<html><head><title>{status} {phrase}</title></head><body>{phrase}</body></html>\n"
    return _respond(status, page.encode(), "text/html; charset=utf-8")


def _error(status: int, error: str) -> Change:
    return _respond(status, json_bytes({"error": error}))


def _edit(edit: Callable[[Record], object]) -> Change:
    return lambda response, _seconds: edit_failures(response, edit)


def _rate_limited(*headers: str) -> Change:
    def change(_response: Response, seconds: float) -> Response:
        values = {
            "Retry-After": f"{seconds:.0f}",
            "RateLimit": f'"project";r=0;t={seconds:.0f}',
            "RateLimit-Policy": '"project";q=60;w=3600',
        }
        body = {"error": "Query rate limit exceeded for this project"}
        return json_response(body, 429, headers={name: values[name] for name in headers})

    return change


def _delay(response: Response, seconds: float) -> Response:
    return replace(response, delay_s=seconds)


def _stall(response: Response, seconds: float) -> Response:
    return replace(response, stall_s=seconds)


def _end(ending: Ending, edit: Edit = bytes) -> Change:
    """Edit the last block, then end the response as given."""

    def change(response: Response, _seconds: float) -> Response:
        return replace(response, ending=ending, blocks=_edit_last(response.blocks, edit))

    return change


def _edit_last(blocks: Iterable[bytes], edit: Edit) -> Iterator[bytes]:
    held = b""
    for block in blocks:
        if held:
            yield held
        held = block
    yield edit(held)


def _cut_in_line(block: bytes) -> bytes:
    """Cut off the second half or more, in the middle of a line."""
    start = block.rfind(b"\n", 0, len(block) // 2) + 1
    end = block.find(b"\n", start)
    return block[: (start + (end if end > 0 else len(block))) // 2]


def _cut_at_line(block: bytes) -> bytes:
    """Cut off the second half or more, at the end of a line if the block has lines."""
    if b"\n" not in block:
        return block[: len(block) // 2]
    return block[: block.rfind(b"\n", 0, len(block) // 2) + 1]


def _append(text: bytes) -> Edit:
    return lambda block: _cut_at_line(block) + text


def _insert(text: bytes) -> Change:
    """Add a property to the first event whose string value contains `text`."""
    note = b'"properties":{"note":"before' + text + b'after",'

    def insert(blocks: Iterable[bytes]) -> Iterator[bytes]:
        for number, block in enumerate(blocks):
            yield block if number else _PROPERTIES.sub(lambda _: note, block, count=1)

    return lambda response, _seconds: replace(response, blocks=insert(response.blocks))


def _halve_results(response: Response, _seconds: float) -> Response:
    body = json.loads(b"".join(response.blocks))
    body["results"] = body["results"][: len(body["results"]) // 2]
    return replace(response, blocks=(json_bytes(body),))


KINDS: dict[str, FaultKind] = {
    "429": _refusal("429 with Retry-After", _rate_limited("Retry-After"), seconds=10),
    "429_headers": _refusal(
        "429 with RateLimit headers only",
        _rate_limited("RateLimit", "RateLimit-Policy"),
        seconds=10,
    ),
    "429_bare": _refusal("429 without any hint when to retry", _rate_limited()),
    "429_import": _refusal(
        "429 of the ingestion host",
        _respond(429, ingestion_error(429, INGESTION_LIMIT_ERROR)),
        WRITTEN_TABLES,
    ),
    "413": _refusal(
        "413, larger than 2097152 bytes",
        _respond(413, ingestion_error(413, "request exceeds max limit of 2097152 bytes")),
        WRITTEN_TABLES,
    ),
    "status_0": _refusal("200 that reports a failure", _respond(200, STATUS_0), VERDICTS),
    "ids_with_dollar": FaultKind(
        "failed_records name the id $insert_id", _edit(name_with_dollar), IMPORT
    ),
    "ids_absent": FaultKind("failed_records have no ids", _edit(drop_id), IMPORT),
    "failures_as_text": FaultKind(
        "failed_records are texts", _edit(lambda record: record["message"]), IMPORT
    ),
    "502_stored": FaultKind("502 after the request was carried out", _html(502), WRITTEN_TABLES),
    **{
        f"{status}": _refusal(f"{status} with an HTML page", _html(status))
        for status in (500, 502, 503, 504)
    },
    **{
        f"{status}_empty": _refusal(f"{status} without a body", _respond(status, b""))
        for status in (500, 502, 503, 504)
    },
    "html": _refusal("200 with an HTML page", _html(200)),
    "timeout": _refusal("400 reporting a timeout", _error(400, "Timeout Error.")),
    "401": _refusal("401, credentials rejected", _error(401, "Invalid credentials")),
    "402": _refusal(
        "402, not available on the plan",
        _error(402, "Your plan does not allow API calls. Upgrade at mixpanel.com/pricing"),
    ),
    "403": _refusal("403, no permission", _error(403, "Permission denied")),
    "slow": FaultKind("first byte delayed by some seconds", _delay, seconds=0.2),
    "stall": FaultKind("last bytes delayed by some seconds", _stall, seconds=0.2),
    "closed": FaultKind("connection closed before the status line", _end(Ending.NOTHING_SENT)),
    "reset": FaultKind("connection reset mid-body", _end(Ending.RESET, _cut_in_line)),
    "unterminated": FaultKind(
        "connection closed at a line boundary, framing incomplete",
        _end(Ending.UNTERMINATED, _cut_at_line),
    ),
    "half_line": FaultKind(
        "body ends mid-line, framing complete",
        _end(Ending.COMPLETE, _cut_in_line),
        EXPORT,
    ),
    "open_gzip": FaultKind(
        "unfinished gzip stream, framing complete",
        _end(Ending.UNFINISHED_GZIP, _cut_at_line),
        EXPORT,
        needs_gzip=True,
    ),
    "no_newline": FaultKind(
        "no newline after the last line, otherwise complete",
        _end(Ending.COMPLETE, lambda block: block.removesuffix(b"\n")),
        EXPORT,
    ),
    "short": FaultKind(
        "lines missing at the end, undetectable", _end(Ending.COMPLETE, _cut_at_line), EXPORT
    ),
    "error_fragment": FaultKind(
        'last line is {"error":', _end(Ending.COMPLETE, _append(b'{"error":')), EXPORT
    ),
    **{
        name: FaultKind(
            f"last line is {text}", _end(Ending.COMPLETE, _append(text.encode() + b"\n")), EXPORT
        )
        for name, text in (
            ("terminated_early", "terminated early"),
            ("export_terminated_early", "export terminated early"),
            ("terminated_early_title", "Terminated Early"),
            ("terminated_early_upper", "EXPORT TERMINATED EARLY"),
        )
    },
    "raw_newline": FaultKind("newline inside a string", _insert(b"\n"), EXPORT),
    "line_separator": FaultKind("U+2028 inside a string", _insert("\u2028".encode()), EXPORT),
    "expired_session": FaultKind(
        "all profile query sessions expire first", _unchanged, ENGAGE, expires_sessions=True
    ),
    "short_page": FaultKind("page with half of its results", _halve_results, ENGAGE),
}
"""Fault name -> kind."""
