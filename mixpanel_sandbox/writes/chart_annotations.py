"""Creating, changing and deleting annotations and their tags.

Source: https://developer.mixpanel.com/reference/create-annotation and the pages beside it
"""

from __future__ import annotations

import re
from typing import Any

from ..context import Context
from ..endpoints.app_api import ACCOUNT_ID, ok
from ..messages import Request, Response, api_error, json_response
from .bodies import read_object

_DATE = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d.*")


def create_annotation(context: Context, request: Request) -> Response:
    """Create an annotation; the same one can be created any number of times.

    Raises:
        ApiError: 400, its date, description or tags are invalid.
    """
    body = read_object(request)
    if not isinstance(body.get("date"), str) or not _DATE.fullmatch(body["date"]):
        raise api_error(400, "date must be in the format YYYY-MM-DD HH:mm:ss", request)
    if not isinstance(body.get("description"), str) or not body["description"]:
        raise api_error(400, "description is required", request)
    project = context.project
    annotation = {
        "id": 1 + max((known["id"] for known in project.annotations), default=0),
        "project_id": project.project_id,
        "date": body["date"],
        "description": body["description"],
        "user": {"id": ACCOUNT_ID, "first_name": "Sandbox", "last_name": ""},
        "tags": _find_tags(context, request, body.get("tags", [])),
    }
    project.annotations.append(annotation)
    return json_response({"status": "ok", "results": annotation}, 201)


def patch_annotation(context: Context, request: Request) -> Response:
    """Change the description or the tags of an annotation.

    Raises:
        ApiError: 400, they are invalid; 404, it does not exist.
    """
    annotation, body = _find(context, request), read_object(request)
    if "tags" in body:
        annotation["tags"] = _find_tags(context, request, body["tags"])
    if "description" in body:
        annotation["description"] = str(body["description"])
    return ok(annotation)


def delete_annotation(context: Context, request: Request) -> Response:
    """Delete an annotation.

    Raises:
        ApiError: 404, it does not exist.
    """
    annotation = _find(context, request)
    context.project.annotations.remove(annotation)
    return ok({"id": annotation["id"]})


def create_tag(context: Context, request: Request) -> Response:
    """Create a tag and return it without an envelope.

    Raises:
        ApiError: 400, it has no name.
    """
    name = read_object(request).get("name")
    if not isinstance(name, str) or not name:
        raise api_error(400, "name is required", request)
    tags = context.project.annotation_tags
    tag = {
        "id": 1 + max((known["id"] for known in tags), default=0),
        "name": name,
        "project_id": context.project.project_id,
        "has_annotations": False,
    }
    tags.append(tag)
    return json_response(tag)


def _find(context: Context, request: Request) -> dict[str, Any]:
    for annotation in context.project.annotations:
        if str(annotation["id"]) == request.path_params["id"]:
            return annotation
    raise api_error(404, "Annotation not found", request)


def _find_tags(context: Context, request: Request, ids: object) -> list[dict[str, Any]]:
    known = {tag["id"]: tag for tag in context.project.annotation_tags}
    if not isinstance(ids, list) or not all(number in known for number in ids):
        raise api_error(400, "tags must be ids of annotation tags", request)
    for number in ids:
        known[number]["has_annotations"] = True
    return [{"id": number, "name": known[number]["name"]} for number in ids]
