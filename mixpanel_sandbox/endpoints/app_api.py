"""The app API: account, annotations and Lexicon schemas.

Responses have the envelope {"status": "ok", "results": ...} unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..context import Context
from ..messages import Request, Response, api_error, json_response
from ..project import PROJECT_ID, Project
from .params import parse_string_set

ACCOUNT_ID = 4242
ORGANIZATION_ID = 100
WORKSPACE_ID = 3448413
"""Data view of the project with the default id."""
ENTITY_TYPES = ("event", "profile")

_DOMAINS = {"us": "mixpanel.com", "eu": "eu.mixpanel.com", "in": "in.mixpanel.com"}
_DATE_LENGTH = len("2026-11-20")


def describe_account(context: Context, _request: Request) -> Response:
    """Return the service account and its projects.

    Undocumented; the project timezone is at `results.projects.<id>.timezone`.
    """
    described = {
        str(project.project_id): {
            "name": project.name,
            "organization_id": ORGANIZATION_ID,
            "timezone": project.timezone,
            "has_workspaces": False,
            "domain": _DOMAINS[project.region],
            "type": "PROJECT",
            "role": {"id": 1, "name": "analyst"},
        }
        for project in context.projects
    }
    organization = {"id": ORGANIZATION_ID, "name": "Made-up shop", "role": "analyst"}
    return ok(
        {
            "user_id": ACCOUNT_ID,
            "organizations": {str(ORGANIZATION_ID): organization},
            "projects": described,
            "workspaces": {
                str(workspace["id"]): workspace
                for project in context.projects
                for workspace in workspaces_of(project)
            },
        }
    )


def workspaces_of(project: Project) -> list[dict[str, Any]]:
    """Return the data views of a project."""
    everything = {
        "id": WORKSPACE_ID + project.project_id - PROJECT_ID,
        "name": "All Project Data",
        "project_id": project.project_id,
        "is_default": True,
        "is_global": True,
        "is_restricted": False,
        "is_visible": True,
    }
    return project.workspaces or [everything]


def list_annotations(context: Context, request: Request) -> Response:
    """Return the annotations, optionally of a date range and of some tags.

    Source: https://developer.mixpanel.com/reference/list-all-annotations-for-project
    """
    first = request.params.get("fromDate") or ""
    last = request.params.get("toDate") or "9999-12-31"
    tags = parse_string_set(request, "tags")
    return ok(
        [
            annotation
            for annotation in context.project.annotations
            if first <= annotation["date"][:_DATE_LENGTH] <= last
            and (not tags or tags & {str(tag["id"]) for tag in annotation.get("tags", ())})
        ]
    )


def get_annotation(context: Context, request: Request) -> Response:
    """Return an annotation by its id.

    Source: https://developer.mixpanel.com/reference/get-annotation

    Raises:
        ApiError: 404, the annotation does not exist.
    """
    for annotation in context.project.annotations:
        if str(annotation["id"]) == request.path_params["id"]:
            return ok(annotation)
    raise api_error(404, "Annotation not found", request)


def list_schemas(context: Context, request: Request) -> Response:
    """Return the saved Lexicon schemas, optionally of one entity type and name.

    Source: https://developer.mixpanel.com/reference/list-all-schemas-for-project

    Raises:
        ApiError: 400, unknown entity type.
    """
    return ok(list(_find_schemas(context, request, request.params.get("entity_name"))))


def get_schema(context: Context, request: Request) -> Response:
    """Return the schema of an event or of profiles, without an envelope.

    Source: https://developer.mixpanel.com/reference/list-schemas-by-entity-and-name

    Raises:
        ApiError: 400, unknown entity type; 404, the entity has no schema.
    """
    for entry in _find_schemas(context, request, request.path_params["name"]):
        return json_response(entry["schemaJson"])
    raise api_error(404, "Schema not found", request)


def _find_schemas(context: Context, request: Request, name: str | None) -> Iterable[dict[str, Any]]:
    entity_type = request.path_params.get("entity_type")
    if entity_type is not None and entity_type not in ENTITY_TYPES:
        raise api_error(400, f"entity type must be one of {', '.join(ENTITY_TYPES)}", request)
    return (
        entry
        for entry in context.project.schemas
        if entity_type in {None, entry["entityType"]} and name in {None, "", entry["name"]}
    )


def ok(results: object) -> Response:
    """Return results in the envelope of the app API."""
    return json_response({"status": "ok", "results": results})
