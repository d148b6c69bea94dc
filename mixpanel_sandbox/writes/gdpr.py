"""Requests to retrieve or delete the data of persons.

Source: https://developer.mixpanel.com/reference/gdpr-api
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from ..context import Context
from ..endpoints.app_api import ok
from ..messages import Request, Response, api_error, json_response
from ..project import Project
from .bodies import read_object

PENDING_S = 86_400
"""Seconds until a job is carried out; Mixpanel takes up to 30 days."""
MAX_RETRIEVED = 2000
MAX_DELETED = 1999
COMPLIANCE_TYPES = ("GDPR", "CCPA")


def create_retrieval(context: Context, request: Request) -> Response:
    """Ask for the data of persons.

    Raises:
        ApiError: 400, the ids are missing or too many.
    """
    return _create(context, request, "retrieval", MAX_RETRIEVED)


def create_deletion(context: Context, request: Request) -> Response:
    """Ask for the deletion of persons, with their events.

    Raises:
        ApiError: 400, the ids are missing or too many.
    """
    return _create(context, request, "deletion", MAX_DELETED)


def get_job(context: Context, request: Request) -> Response:
    """Return the state of a job.

    Raises:
        ApiError: 404, it does not exist.
    """
    job = _find(context, request)
    common = {"status": job["status"], "distinct_ids": job["distinct_ids"]}
    if job["kind"] == "retrieval":
        link = "https://example.com/retrieval.zip" if job["status"] == "SUCCESS" else ""
        return ok({**common, "results": link})
    names = ("tracking_id", "requesting_user", "compliance_type", "project_id", "date_requested")
    return ok({**common, **{name: job[name] for name in names}})


def cancel_deletion(context: Context, request: Request) -> Response:
    """Cancel a deletion that has not begun.

    Raises:
        ApiError: 404, it does not exist; 405, it has begun.
    """
    job = _find(context, request)
    if job["kind"] != "deletion" or job["status"] not in {"PENDING", "REVOKED"}:
        raise api_error(405, "the task can no longer be cancelled", request)
    job["status"] = "REVOKED"
    return Response(status=204)


def carry_out(context: Context) -> None:
    """Carry out the jobs of the project that are due."""
    for job in context.project.gdpr_jobs.values():
        if job["status"] == "PENDING" and job["due_s"] <= context.clock():
            job["status"] = "SUCCESS"
            if job["kind"] == "deletion":
                _delete(context.project, frozenset(job["distinct_ids"]))


def _create(context: Context, request: Request, kind: str, maximum: int) -> Response:
    body = read_object(request)
    ids = body.get("distinct_ids")
    if not isinstance(ids, list) or not 0 < len(ids) <= maximum:
        raise api_error(400, f"distinct_ids must be a list of 1 to {maximum} ids", request)
    compliance = body.get("compliance_type", "GDPR")
    if compliance not in COMPLIANCE_TYPES:
        raise api_error(400, "compliance_type must be GDPR or CCPA", request)
    task_id = f"job-{uuid.uuid4().hex}"
    context.project.gdpr_jobs[task_id] = {
        "tracking_id": task_id,
        "kind": kind,
        "status": "PENDING",
        "due_s": context.clock() + PENDING_S,
        "requesting_user": "sandbox@example.com",
        "compliance_type": compliance,
        "project_id": context.project.project_id,
        "date_requested": context.now().isoformat()[:19],
        "distinct_ids": ids,
    }
    return json_response({"status": "ok", "results": {"task_id": task_id}}, 201)


def _find(context: Context, request: Request) -> dict[str, Any]:
    job = context.project.gdpr_jobs.get(request.path_params["tracking_id"])
    if job is None:
        raise api_error(404, "task not found", request)
    return job


def _delete(project: Project, ids: frozenset[str]) -> None:
    for day, lines in project.events.items():
        project.events[day] = [line for line in lines if _event_id(line) not in ids]
    project.profiles = [
        row for row in project.profiles if str(json.loads(row)["$distinct_id"]) not in ids
    ]


def _event_id(line: bytes) -> str | None:
    try:
        return str(json.loads(line)["properties"]["distinct_id"])
    except (ValueError, TypeError, KeyError):
        return None
