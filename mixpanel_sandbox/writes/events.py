"""/import and /track.

Source: https://developer.mixpanel.com/reference/import-events
Source: https://developer.mixpanel.com/reference/track-event
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from ..context import Context
from ..messages import Request, Response, api_error, json_response
from .bodies import BodyError, Row, read_bytes, read_form, split_rows
from .event_lines import build_line
from .event_rules import VERBS, Problem, Rules, find_problem, to_seconds
from .inbox import Arrival
from .schemas import dropped_events
from .verdict import give_verdict

MAX_EVENTS = 2000
TRACK_DAYS = 5
"""/track drops older events without saying so."""
DAY_S = 86_400

PARTIAL_ERROR = "some data points in the request failed validation"
VERB_ERROR = "identity events are not allowed when project is using simplified identity management"


def import_events(context: Context, request: Request) -> Response:
    """Store the valid events; with `strict=1`, 400 names the others.

    Raises:
        ApiError: 400, no batch of 1 to 2000 events; 413, it is too large; 429, too many events.
    """
    body = read_bytes(request, max_bytes=context.write_limits.import_bytes)
    try:
        rows = split_rows(body, request.content_type)
    except BodyError as error:
        raise api_error(400, str(error), request) from None
    if not 0 < len(rows) <= MAX_EVENTS:
        error_text = f"request contains {len(rows)} events, must be 1 to {MAX_EVENTS}"
        raise api_error(400, error_text, request)
    context.meter.count(len(rows), len(body), request)
    if context.project.identity == "simplified" and any(_is_verb(row.value) for row in rows):
        return _report(request, 0, [VERB_ERROR for row in rows if _is_verb(row.value)])
    project = context.project
    rules = Rules(context.clock(), project.retention_days, project.identity == "simplified")
    problems = [find_problem(row.value, row.size, rules) for row in rows]
    valid = [row for row, problem in zip(rows, problems, strict=True) if problem is None]
    _store(context, valid, "import")
    failed = [
        _describe(number, row.value, problem)
        for number, (row, problem) in enumerate(zip(rows, problems, strict=True))
        if problem is not None
    ]
    return _report(request, len(valid), failed)


def track_events(context: Context, request: Request) -> Response:
    """Store events of the last five days; the answer only says whether they are well-formed.

    Each event goes to the project of its token; without a known token it is dropped. Simplified
    projects ignore identity verbs.
    """
    try:
        rows = split_rows(read_form(request), "application/json")
        _check_track(rows)
    except BodyError as error:
        return give_verdict(request, str(error))
    oldest_s = context.clock() - TRACK_DAYS * DAY_S
    for project in context.projects:
        own = [row for row in rows if row.value["properties"]["token"] == project.token]
        if project.identity == "simplified":
            own = [row for row in own if not _is_verb(row.value)]
        recent = [_complete(row) for row in own if _time_of(row.value, context) >= oldest_s]
        _store(context.for_project(project), recent, "track")
    return give_verdict(request)


def _report(request: Request, imported: int, failed: Sequence[Any]) -> Response:
    strict = request.params.get("strict") == "1"
    if not failed:
        body = {"code": 200, "num_records_imported": imported, "status": "OK"}
        loose = {"code": 200, "error": None, "num_records_imported": imported, "status": 1}
        return json_response(body if strict else loose)
    body = {"code": 200, "error": PARTIAL_ERROR, "num_records_imported": imported, "status": 0}
    if not strict:
        return json_response(body)
    strict_body = {"code": 400, "status": "Bad Request", "failed_records": failed}
    return json_response({**body, **strict_body}, 400)


def _describe(index: int, event: object, problem: Problem) -> dict[str, object]:
    record: dict[str, object] = {"index": index}
    properties = event.get("properties") if isinstance(event, dict) else None
    # live responses call it insert_id, the reference $insert_id; without a value it is absent
    if isinstance(properties, dict) and properties.get("$insert_id"):
        record["insert_id"] = properties["$insert_id"]
    return {**record, **problem._asdict()}


def _is_verb(event: object) -> bool:
    return isinstance(event, dict) and event.get("event") in VERBS


def _check_track(rows: Iterable[Row]) -> None:
    """Raise BodyError if an event lacks what /track requires."""
    for row in rows:
        event = row.value if isinstance(row.value, dict) else {}
        if not event.get("event"):
            raise BodyError("event, missing or empty")
        properties = event.get("properties")
        if not isinstance(properties, dict) or not properties.get("token"):
            raise BodyError("properties.token, missing or empty")


def _complete(row: Row) -> Row:
    """Return an event with an `$insert_id`; its text is not used, since its token is removed."""
    properties = row.value["properties"]
    insert_id = properties.get("$insert_id") or uuid.uuid4().hex[:16]
    value = {**row.value, "properties": {**properties, "$insert_id": insert_id}}
    return Row(row.text, value)


def _store(context: Context, rows: Iterable[Row], endpoint: str) -> None:
    now_s = context.clock()
    arrived_ms = int(now_s * 1000)
    dropped = dropped_events(context.project)
    arrivals = [
        Arrival(
            datetime.fromtimestamp(_time_of(row.value, context), timezone.utc).date(),
            build_line(row, arrived_ms, endpoint),
        )
        for row in rows
        if row.value["event"] not in dropped
    ]
    context.inbox.add(context.project, arrivals, now_s)


def _time_of(event: dict[str, Any], context: Context) -> float:
    time = event["properties"].get("time")
    is_number = isinstance(time, (int, float)) and not isinstance(time, bool)
    return to_seconds(time) if is_number else context.clock()
