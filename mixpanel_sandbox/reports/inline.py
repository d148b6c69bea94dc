"""Reports that a request declares, in the form in which Mixpanel saves them.

Mixpanel does not document this form; it is known from its own clients. The sandbox counts events,
by day or another unit, broken down by properties; it refuses everything else.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from ..context import Context
from ..messages import Request, Response, api_error, json_response
from .events import read_events

MAX_LIMIT = 50_000
DAYS = 30


def parse_inline(request: Request) -> dict[str, Any]:
    """Return a report in the form of `Project.bookmarks`.

    Raises:
        ApiError: 400, it is missing, or is not one that the sandbox counts.
    """
    bookmark = _parse_bookmark(request)
    try:
        sections = bookmark["sections"]
        shown = [row["behavior"] for row in sections["show"]]
        grouped = [row["value"] for row in sections.get("group", ())]
        time = (sections.get("time") or [{}])[0]
        limits = json.loads(request.params.get("queryLimits", "{}"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise api_error(400, "bookmark has no sections with show", request) from error
    if not shown or any(row.get("type") != "event" for row in shown):
        raise api_error(400, "the sandbox counts behaviors of type event only", request)
    limit = limits.get("limit", MAX_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise api_error(400, f"queryLimits.limit must be from 1 to {MAX_LIMIT}", request)
    return {
        "events": [row["name"] for row in shown],
        "on": grouped,
        "days": time.get("window", {}).get("value", DAYS),
        "unit": time.get("unit", "day"),
        "chart": bookmark.get("displayOptions", {}).get("chartType", "line"),
        "limit": limit,
    }


def arb_funnels(context: Context, request: Request) -> Response:
    """Return the steps of a flows report, with the users of each.

    Shape: {"steps": [{"step", "event", "count"}], "breakdowns": [], ...}.

    Raises:
        ApiError: 400, it is missing, or has no steps.
    """
    steps = _parse_bookmark(request).get("steps")
    if not isinstance(steps, list) or not steps:
        raise api_error(400, "bookmark has no steps", request)
    today = context.today()
    names = [step["event"] for step in steps]
    events = read_events(context, today - timedelta(days=DAYS - 1), today, names=names)
    users = [{event.distinct_id for event in events if event.name == name} for name in names]
    listed = [
        {"step": number, "event": name, "count": len(found)}
        for number, (name, found) in enumerate(zip(names, users, strict=True), 1)
    ]
    return json_response(
        {
            "steps": listed,
            "breakdowns": [],
            "overallConversionRate": len(users[-1]) / max(1, len(users[0])),
            "computed_at": context.now().isoformat(timespec="seconds"),
            "metadata": {},
        }
    )


def _parse_bookmark(request: Request) -> dict[str, Any]:
    try:
        bookmark = json.loads(request.params.get("bookmark", ""))
    except ValueError:
        bookmark = None
    if not isinstance(bookmark, dict):
        raise api_error(400, "bookmark is a required parameter", request)
    return bookmark
