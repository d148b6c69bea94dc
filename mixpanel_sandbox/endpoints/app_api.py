"""The app API: the account and its project, annotations and Lexicon schemas.

All in the envelope {"status": "ok", "results": ...}, but for two replies that have none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..context import World
from ..messages import Reply, Request, json_reply, refused
from .params import parse_words

ACCOUNT_ID = 4242
ORGANIZATION_ID = 100
ENTITY_TYPES = ("event", "profile")

_DATE_LENGTH = len("2026-11-20")


def describe_account(world: World, _request: Request) -> Reply:
    """Answer with the service account and its one project.

    Undocumented; the zone of the project is under `results.projects.<id>.timezone`.
    """
    project = world.project
    described = {
        "name": "Sandbox",
        "organization_id": ORGANIZATION_ID,
        "timezone": project.timezone,
        "has_workspaces": False,
        "domain": "mixpanel.com",
        "type": "PROJECT",
        "role": {"id": 1, "name": "analyst"},
    }
    organization = {"id": ORGANIZATION_ID, "name": "Made-up shop", "role": "analyst"}
    return _ok(
        {
            "user_id": ACCOUNT_ID,
            "organizations": {str(ORGANIZATION_ID): organization},
            "projects": {str(project.project_id): described},
        }
    )


def list_annotations(world: World, request: Request) -> Reply:
    """Answer with the annotations of some days, of some tags, or with all.

    Source: https://developer.mixpanel.com/reference/list-all-annotations-for-project
    """
    first = request.params.get("fromDate") or ""
    last = request.params.get("toDate") or "9999-12-31"
    tags = parse_words(request, "tags")
    return _ok(
        [
            one
            for one in world.project.annotations
            if first <= one["date"][:_DATE_LENGTH] <= last
            and (not tags or tags & {str(tag["id"]) for tag in one.get("tags", ())})
        ]
    )


def get_annotation(world: World, request: Request) -> Reply:
    """Answer with one annotation.

    Source: https://developer.mixpanel.com/reference/get-annotation

    Raises:
        RefusedError: 404, there is no such annotation.
    """
    for one in world.project.annotations:
        if str(one["id"]) == request.captured["id"]:
            return _ok(one)
    raise refused(404, "Annotation not found", request)


def list_annotation_tags(world: World, _request: Request) -> Reply:
    """Answer with all tags as a bare array.

    Source: https://developer.mixpanel.com/reference/get-annotation-tags
    """
    return json_reply(world.project.annotation_tags)


def list_schemas(world: World, request: Request) -> Reply:
    """Answer with the Lexicon schemas that were saved, of one type of entity if the path has one.

    Source: https://developer.mixpanel.com/reference/list-all-schemas-for-project

    Raises:
        RefusedError: 400, there is no such type of entity.
    """
    return _ok(list(_find_schemas(world, request, request.params.get("entity_name"))))


def get_schema(world: World, request: Request) -> Reply:
    """Answer with the schema of one event or profile alone.

    Source: https://developer.mixpanel.com/reference/list-schemas-by-entity-and-name

    Raises:
        RefusedError: 400, there is no such type of entity; 404, it has no schema.
    """
    for entry in _find_schemas(world, request, request.captured["name"]):
        return json_reply(entry["schemaJson"])
    raise refused(404, "Schema not found", request)


def _find_schemas(world: World, request: Request, name: str | None) -> Iterable[dict[str, Any]]:
    entity_type = request.captured.get("entity_type")
    if entity_type is not None and entity_type not in ENTITY_TYPES:
        raise refused(400, f"entity type must be one of {', '.join(ENTITY_TYPES)}", request)
    return (
        entry
        for entry in world.project.schemas
        if entity_type in {None, entry["entityType"]} and name in {None, "", entry["name"]}
    )


def _ok(results: object) -> Reply:
    return json_reply({"status": "ok", "results": results})
