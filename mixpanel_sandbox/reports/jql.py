"""JQL scripts, which are not executed: all of them get the same result.

Source: https://developer.mixpanel.com/reference/query-jql
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date
from typing import Any

from ..context import Context
from ..endpoints.params import require
from ..messages import ApiError, Request, Response, api_error, json_response
from .events import default_date_range, read_events

_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
_DATE_LENGTH = len("2026-11-20")


def jql(context: Context, request: Request) -> Response:
    """Return `Project.jql`, or the number of events by name in a date range.

    The range is `from_date` to `to_date` of the JSON object `params`, by default the last 31 days.

    Raises:
        ApiError: 400, a parameter is missing or invalid; 412, the script throws or has unbalanced
            brackets.
    """
    script = require(request, "script")
    error = _find_error(script)
    if error:
        raise ApiError(json_response({"request": request.target, "error": error}, 412))
    params = _parse_params(request)
    if context.project.jql is not None:
        return json_response(context.project.jql)
    first, last = _parse_date_range(context, request, params)
    counts = Counter(event.name for event in read_events(context, first, last))
    rows = [{"key": [name], "value": count} for name, count in sorted(counts.items())]
    return json_response(rows)


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
        raise api_error(400, "Error in params: must be a JSON object", request)
    return params


def _parse_date_range(
    context: Context, request: Request, params: dict[str, Any]
) -> tuple[date, date]:
    first, last = default_date_range(context)
    try:
        return _parse_date(params.get("from_date"), first), _parse_date(params.get("to_date"), last)
    except ValueError as error:
        raise api_error(400, f"Error in params: {error}", request) from None


def _parse_date(given: object, default: date) -> date:
    return default if given is None else date.fromisoformat(str(given)[:_DATE_LENGTH])
