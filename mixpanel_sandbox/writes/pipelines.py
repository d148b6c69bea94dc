"""Creating, editing, pausing, resuming and cancelling data pipelines.

Source: https://developer.mixpanel.com/reference/create-warehouse-pipeline and the pages beside it
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from ..context import Context
from ..endpoints.params import parse_choice, require
from ..messages import Request, Response, api_error, json_response

TYPES = (
    "gcs-raw",
    "s3-raw",
    "azure-raw",
    "bigquery",
    "snowflake",
    "aws",
    "azure-blob",
    "gcs-schema",
)
FREQUENCIES = ("hourly", "daily")
MAX_AGE_DAYS = 183
EDITABLE = ("events", "where")


def create_pipeline(context: Context, request: Request) -> Response:
    """Create a pipeline; the same request creates another one.

    Raises:
        ApiError: 400, a parameter is missing or invalid.
    """
    kind = parse_choice(request, "type", TYPES)
    frequency = parse_choice(request, "frequency", FREQUENCIES, default="daily")
    is_trial = request.params.get("trial", "").lower() == "true"
    if not is_trial:
        _check_first_day(context, request)
    pipelines = context.project.pipelines
    stem = f"{'trial-' if is_trial else ''}events-{frequency}-{kind}"
    names = {pipeline["name"] for pipeline in pipelines}
    name = next(
        name
        for name in (stem, *(f"{stem}-{number}" for number in range(2, len(names) + 3)))
        if name not in names
    )
    kept = {field: request.params[field] for field in EDITABLE if field in request.params}
    pipelines.append({"name": name, "frequency": frequency, "sync_enabled": "false", **kept})
    return json_response({"pipeline_names": [name]})


def edit_pipeline(context: Context, request: Request) -> Response:
    """Change the events or the filter of a pipeline.

    Raises:
        ApiError: 400, `name` is missing; 404, the pipeline does not exist.
    """
    params = request.params
    _find(context, request).update({field: params[field] for field in EDITABLE if field in params})
    return Response()


def pause_pipeline(context: Context, request: Request) -> Response:
    """Pause a pipeline; see `edit_pipeline` for what is raised."""
    _find(context, request)["paused"] = True
    return Response()


def resume_pipeline(context: Context, request: Request) -> Response:
    """Resume a pipeline; see `edit_pipeline` for what is raised."""
    _find(context, request)["paused"] = False
    return Response()


def cancel_pipeline(context: Context, request: Request) -> Response:
    """Delete a pipeline with its history.

    Raises:
        ApiError: 400, `name` is missing, or the pipeline is a trial; 404, it does not exist.
    """
    pipeline = _find(context, request)
    if pipeline["name"].startswith("trial-"):
        raise api_error(400, "trial pipelines cannot be deleted", request)
    context.project.pipelines.remove(pipeline)
    context.project.pipeline_runs.pop(pipeline["name"], None)
    return Response()


def _find(context: Context, request: Request) -> dict[str, Any]:
    name = require(request, "name")
    for pipeline in context.project.pipelines:
        if pipeline["name"] == name:
            return pipeline
    raise api_error(404, f"pipeline {name} does not exist", request)


def _check_first_day(context: Context, request: Request) -> None:
    text = require(request, "from_date")
    try:
        first = date.fromisoformat(text)
    except ValueError:
        raise api_error(400, "Error in from_date: invalid date", request) from None
    if first < context.today() - timedelta(days=MAX_AGE_DAYS):
        raise api_error(400, "from_date must be within the last 6 months", request)
