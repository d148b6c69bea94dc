"""The raw event export: one JSON object per line, by whole days.

Source: https://developer.mixpanel.com/reference/raw-event-export
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from itertools import chain, islice
from typing import Any

from ..context import Context
from ..messages import Request, Response, api_error
from .params import parse_date_range, parse_where

MAX_LIMIT = 100_000
LINES_PER_BLOCK = 1000

_TIME_KEY = re.compile(rb'"time"\s*:\s*')
# 11 digits are seconds up to the year 5138; as milliseconds they would be before 1973
_SECONDS = re.compile(rb"\d{1,11}(?=\s*[,}])")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]')

Event = dict[str, Any]


def export(context: Context, request: Request) -> Response:
    """Return the events from `from_date` to `to_date`, both included.

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    first, last = parse_date_range(request, today=context.today())
    lines = _filter(_read_lines(context, first, last), request)
    if _is_true(request.params.get("time_in_ms")):
        lines = map(to_milliseconds, lines)
    return Response(content_type="text/plain", blocks=_join(lines), chunked=True)


def to_milliseconds(line: bytes) -> bytes:
    """Convert the `time` of an event to milliseconds, if it is in whole seconds.

    Args:
        line: A stored event; its other bytes are not changed.
    """
    start = _find_time(line)
    seconds = _SECONDS.match(line, start) if start else None
    return line if seconds is None else line[: seconds.end()] + b"000" + line[seconds.end() :]


def _read_lines(context: Context, first: date, last: date) -> Iterator[bytes]:
    events = context.project.events
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return chain.from_iterable(list(events.get(day, ())) for day in days)


def _filter(lines: Iterable[bytes], request: Request) -> Iterable[bytes]:
    matches = _parse_filter(request)
    if matches is not None:
        # eagerly: an expression that fails on an event is a 400, so no head may be sent yet
        lines = [line for line in lines if matches(json.loads(line))]
    limit = _parse_limit(request)
    return lines if limit is None else islice(lines, limit)


def _parse_filter(request: Request) -> Callable[[Event], bool] | None:
    names = _parse_names(request)
    if names is None and not request.params.get("where"):
        return None
    matches_where = parse_where(request)

    def matches(event: Event) -> bool:
        name_matches = names is None or event.get("event") in names
        properties = event.get("properties")
        return name_matches and matches_where(properties if isinstance(properties, dict) else {})

    return matches


def _parse_names(request: Request) -> frozenset[str] | None:
    text = request.params.get("event")
    if not text:
        return None
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list):
        raise api_error(400, "Error in event: must be a JSON array of event names", request)
    return frozenset(str(name) for name in names)


def _parse_limit(request: Request) -> int | None:
    text = request.params.get("limit")
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) <= MAX_LIMIT:
        raise api_error(400, f"Error in limit: must be between 1 and {MAX_LIMIT}", request)
    return int(text)


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in {"true", "1"}


def _join(lines: Iterable[bytes]) -> Iterator[bytes]:
    remaining = iter(lines)
    while block := list(islice(remaining, LINES_PER_BLOCK)):
        block.append(b"")
        yield b"\n".join(block)


def _find_time(line: bytes) -> int | None:
    """Return the offset of the value of `properties.time`."""
    if line.count(b'"time"') == 1:
        match = _TIME_KEY.search(line)
        return match.end() if match else None
    # several candidates: only the key two objects deep is meant
    depth = 0
    for token in _TOKEN.finditer(line):
        if token[0] in b"{[":
            depth += 1
        elif token[0] in b"}]":
            depth -= 1
        elif depth == 2 and token[0] == b'"time"':  # noqa: PLR2004 - event, properties
            key = _TIME_KEY.match(line, token.start())
            if key:
                return key.end()
    return None
