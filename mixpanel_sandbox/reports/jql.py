"""Scripts: nothing runs them here, so each gets one answer.

Source: https://developer.mixpanel.com/reference/query-jql
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date
from typing import Any

from ..context import World
from ..endpoints.params import require
from ..messages import RefusedError, Reply, Request, json_reply, refused
from .events import last_days, read_events

_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
_DATE_LENGTH = len("2026-11-20")


def jql(world: World, request: Request) -> Reply:
    """Answer with `Project.jql`, or with the count of each event between two days.

    The days are `from_date` and `to_date` of `params`, else the last 31.

    Raises:
        RefusedError: 400, a parameter is missing or wrong; 412, the script throws or its brackets
            do not match.
    """
    script = require(request, "script")
    error = _find_error(script)
    if error:
        raise RefusedError(json_reply({"request": request.target, "error": error}, 412))
    params = _parse_params(request)
    if world.project.jql is not None:
        return json_reply(world.project.jql)
    first, last = _find_days(world, request, params)
    counts = Counter(event.name for event in read_events(world, first, last))
    rows = [{"key": [name], "value": count} for name, count in sorted(counts.items())]
    return json_reply(rows)


def _find_error(script: str) -> str | None:
    code = _STRING.sub('""', script)
    if any(code.count(left) != code.count(right) for left, right in _BRACKETS):
        return "SyntaxError: Unexpected end of input\n    at main.js"
    if re.search(r"\bthrow\b", code):
        return "Uncaught exception Error\n    at main (main.js:1:1)"
    return None


def _parse_params(request: Request) -> dict[str, Any]:
    try:
        params = json.loads(request.params.get("params") or "{}")
    except ValueError:
        params = None
    if not isinstance(params, dict):
        raise refused(400, "Error in params: must be a JSON object", request)
    return params


def _find_days(world: World, request: Request, params: dict[str, Any]) -> tuple[date, date]:
    first, last = last_days(world)
    try:
        return _read_day(params.get("from_date"), first), _read_day(params.get("to_date"), last)
    except ValueError as error:
        raise refused(400, f"Error in params: {error}", request) from None


def _read_day(given: object, default: date) -> date:
    return default if given is None else date.fromisoformat(str(given)[:_DATE_LENGTH])
