"""Changes of the Lexicon.

Source: https://developer.mixpanel.com/reference/lexicon-schemas-api
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..context import Context
from ..endpoints.app_api import ENTITY_TYPES, ok
from ..messages import Request, Response, api_error, json_response
from ..project import Project
from .bodies import read_object

MAX_DELETIONS = 3000

Entry = dict[str, Any]


def upload_schemas(context: Context, request: Request) -> Response:
    """Create or replace entries; with `truncate` all others are deleted first.

    Raises:
        ApiError: 400, an entry is malformed; 429, too many entries in a minute.
    """
    body = read_object(request)
    entries = body.get("entries")
    if not isinstance(entries, list):
        raise api_error(400, "entries is required", request)
    for entry in entries:
        _check(entry, request)
    context.entity_meter.count(len(entries), 0, request)
    deleted = _delete(context.project, lambda _: True) if body.get("truncate") is True else 0
    _store(context.project, entries)
    return ok({"added": len(entries), "deleted": deleted})


def upload_schema(context: Context, request: Request) -> Response:
    """Create or replace one entry.

    Raises:
        ApiError: 400, it is malformed; 429, too many entries in a minute.
    """
    path = request.path_params
    name = {"entityType": path["entity_type"], "name": path["name"]}
    entry = {**name, "schemaJson": read_object(request)}
    _check(entry, request)
    context.entity_meter.count(1, 0, request)
    _store(context.project, [entry])
    return json_response({"status": "ok"})


def delete_schemas(context: Context, request: Request) -> Response:
    """Delete all entries, those of a type, or one.

    Raises:
        ApiError: 400, there are too many for a request.
    """
    wanted_type = request.path_params.get("entity_type")
    wanted = request.path_params.get("name") or request.params.get("entity_name")

    def matches(entry: Entry) -> bool:
        return wanted_type in {None, entry["entityType"]} and wanted in {None, entry["name"]}

    if sum(map(matches, context.project.schemas)) >= MAX_DELETIONS:
        raise api_error(400, f"must delete fewer than {MAX_DELETIONS} schemas", request)
    return ok({"delete_count": _delete(context.project, matches)})


def dropped_events(project: Project) -> frozenset[str]:
    """Return the names of the events that are dropped at ingestion."""
    return frozenset(
        entry["name"]
        for entry in project.schemas
        if entry["entityType"] == "event" and _metadata(entry["schemaJson"]).get("dropped")
    )


def _check(entry: object, request: Request) -> None:
    is_valid = (
        isinstance(entry, dict)
        and entry.get("entityType") in ENTITY_TYPES
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("schemaJson"), dict)
    )
    if not is_valid:
        raise api_error(400, "entries must have entityType, name and schemaJson", request)


def _store(project: Project, entries: Iterable[Entry]) -> None:
    stored = {(entry["entityType"], entry["name"]): entry for entry in project.schemas}
    for entry in entries:
        known = stored.setdefault((entry["entityType"], entry["name"]), entry)
        if known is not entry:
            known["schemaJson"] = _merge(known["schemaJson"], entry["schemaJson"])
    project.schemas = list(stored.values())


def _merge(old: Entry, new: Entry) -> Entry:
    """Return the new schema; metadata it does not name is kept, null removes it."""
    merged = {**_metadata(old), **_metadata(new)}
    kept = {name: value for name, value in merged.items() if value is not None}
    return {**new, "metadata": {"com.mixpanel": kept}} if kept else new


def _metadata(schema: Entry) -> Entry:
    metadata: Entry = schema.get("metadata", {}).get("com.mixpanel", {})
    return metadata


def _delete(project: Project, matches: Callable[[Entry], bool]) -> int:
    kept = [entry for entry in project.schemas if not matches(entry)]
    deleted = len(project.schemas) - len(kept)
    project.schemas = kept
    return deleted
