"""The activity stream: the events of some users.

Source: https://developer.mixpanel.com/reference/activity-stream-query
"""

from __future__ import annotations

from datetime import date

from ..context import Context
from ..endpoints.params import parse_date_range, parse_strings, require
from ..messages import Request, Response, json_response
from .events import Event, read_events


def activity(context: Context, request: Request) -> Response:
    """Return the events of some distinct ids, oldest first; without dates, all of them.

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    require(request, "distinct_ids")
    ids = frozenset(parse_strings(request, "distinct_ids") or ())
    events = read_events(context, *_parse_date_range(context, request))
    results = {"events": [_describe(event) for event in events if event.distinct_id in ids]}
    return json_response({"status": "ok", "results": results})


def _parse_date_range(context: Context, request: Request) -> tuple[date, date]:
    if request.params.get("from_date") or request.params.get("to_date"):
        return parse_date_range(request, today=context.today())
    return min(context.project.events, default=context.today()), context.today()


def _describe(event: Event) -> dict[str, object]:
    # unlike the export, this endpoint calls the id $distinct_id
    properties = {
        "$distinct_id" if name == "distinct_id" else name: value
        for name, value in event.properties.items()
    }
    return {"event": event.name, "properties": properties}
