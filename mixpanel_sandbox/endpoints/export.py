"""The raw event export: one JSON object a line, by whole days.

Source: https://developer.mixpanel.com/reference/raw-event-export
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from itertools import chain, islice
from typing import Any

from ..context import World
from ..messages import Reply, Request, refused
from .params import parse_days, parse_where

MAX_LIMIT = 100_000
LINES_PER_BLOCK = 1000

_TIME_KEY = re.compile(rb'"time"\s*:\s*')
# up to eleven digits: seconds until the year 5138, milliseconds only before 1973
_SECONDS = re.compile(rb"\d{1,11}(?=\s*[,}])")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]')

Event = dict[str, Any]


def export(world: World, request: Request) -> Reply:
    """Answer with the events of whole days, both ends included.

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    first, last = parse_days(request, today=world.today())
    lines = _select(_read_days(world, first, last), request)
    if _is_true(request.params.get("time_in_ms")):
        lines = map(to_milliseconds, lines)
    return Reply(content_type="text/plain", blocks=_join(lines), chunked=True)


def to_milliseconds(line: bytes) -> bytes:
    """Return an event with its `time` in milliseconds; only whole seconds are changed.

    Args:
        line: An event as it is stored; all its other bytes stay as they are.
    """
    at = _find_time(line)
    seconds = _SECONDS.match(line, at) if at else None
    return line if seconds is None else line[: seconds.end()] + b"000" + line[seconds.end() :]


def _read_days(world: World, first: date, last: date) -> Iterator[bytes]:
    events = world.project.events
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return chain.from_iterable(list(events.get(day, ())) for day in days)


def _select(lines: Iterable[bytes], request: Request) -> Iterable[bytes]:
    keep = _parse_filter(request)
    if keep is not None:
        # at once, so that an expression that fails on a row is still a 400
        lines = [line for line in lines if keep(json.loads(line))]
    limit = _parse_limit(request)
    return lines if limit is None else islice(lines, limit)


def _parse_filter(request: Request) -> Callable[[Event], bool] | None:
    names = _parse_names(request)
    if names is None and not request.params.get("where"):
        return None
    matches = parse_where(request)

    def keep(event: Event) -> bool:
        named = names is None or event.get("event") in names
        return named and matches(event.get("properties", {}))

    return keep


def _parse_names(request: Request) -> frozenset[str] | None:
    text = request.params.get("event")
    if not text:
        return None
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list):
        raise refused(400, "Error in event: must be a JSON array of event names", request)
    return frozenset(str(name) for name in names)


def _parse_limit(request: Request) -> int | None:
    text = request.params.get("limit")
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) <= MAX_LIMIT:
        raise refused(400, f"Error in limit: must be between 1 and {MAX_LIMIT}", request)
    return int(text)


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in {"true", "1"}


def _join(lines: Iterable[bytes]) -> Iterator[bytes]:
    remaining = iter(lines)
    while block := list(islice(remaining, LINES_PER_BLOCK)):
        block.append(b"")
        yield b"\n".join(block)


def _find_time(line: bytes) -> int | None:
    """Return where the value of `properties.time` starts."""
    if line.count(b'"time"') == 1:
        found = _TIME_KEY.search(line)
        return found.end() if found else None
    # the word is there more than once: the key is the one two objects deep
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
