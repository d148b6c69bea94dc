"""What some people did, event by event.

Source: https://developer.mixpanel.com/reference/activity-stream-query
"""

from __future__ import annotations

from datetime import date

from ..context import World
from ..endpoints.params import parse_days, parse_strings, require
from ..messages import Reply, Request, json_reply
from .events import Event, read_events


def activity(world: World, request: Request) -> Reply:
    """Answer with the events of some distinct ids, oldest first; all of them without days.

    Raises:
        RefusedError: 400, a parameter is missing or wrong.
    """
    require(request, "distinct_ids")
    people = frozenset(parse_strings(request, "distinct_ids") or ())
    events = [
        one for one in read_events(world, *_find_days(world, request)) if one.person in people
    ]
    results = {"events": [_describe(event) for event in events]}
    return json_reply({"status": "ok", "results": results})


def _find_days(world: World, request: Request) -> tuple[date, date]:
    if request.params.get("from_date") or request.params.get("to_date"):
        return parse_days(request, today=world.today())
    return min(world.project.events, default=world.today()), world.today()


def _describe(event: Event) -> dict[str, object]:
    # the id has another name here than in the export
    renamed = {
        "$distinct_id" if name == "distinct_id" else name: value
        for name, value in event.properties.items()
    }
    return {"event": event.name, "properties": renamed}
