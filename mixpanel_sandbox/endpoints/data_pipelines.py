"""Data pipelines: their configuration and runs."""

from __future__ import annotations

from typing import Any

from ..context import Context
from ..messages import Request, Response, api_error, json_response
from .params import parse_string_set, require

STATES = ("pending", "running", "retried", "failed", "canceled", "succeeded", "timed_out")


def list_pipelines(context: Context, _request: Request) -> Response:
    """Return all pipelines.

    Source: https://developer.mixpanel.com/reference/list-warehouse-pipeline-jobs

    Shape: {project id: [pipeline]}
    """
    return json_response({str(context.project.project_id): context.project.pipelines})


def get_status(context: Context, request: Request) -> Response:
    """Return the runs of a pipeline by state, or with `summary` the number of them.

    Source: https://developer.mixpanel.com/reference/get-warehouse-pipeline-status

    Raises:
        ApiError: 400, `name` is missing; 404, the pipeline does not exist.
    """
    runs = _find_runs(context, request, require(request, "name"))
    states = parse_string_set(request, "status")
    by_state = {
        state: [run for run in runs if run["state"] == state]
        for state in STATES
        if not states or state in states
    }
    if request.params.get("summary", "").lower() == "true":
        return json_response({state: len(in_state) for state, in_state in by_state.items()})
    return json_response(by_state)


def get_timeline(context: Context, request: Request) -> Response:
    """Return the times each day was synced, by one pipeline or by all.

    Source: https://developer.mixpanel.com/reference/list-warehouse-pipeline-sync-dates

    Raises:
        ApiError: 404, the pipeline does not exist.
    """
    name = request.params.get("name")
    names = [name] if name else list(context.project.pipeline_runs)
    by_day: dict[str, list[dict[str, Any]]] = {}
    for known in names:
        for run in _find_runs(context, request, known):
            by_day.setdefault(run["from_date"], []).append(run)
    return json_response({"day_syncs": [_describe_day(day, by_day[day]) for day in sorted(by_day)]})


def _find_runs(context: Context, request: Request, name: str) -> list[dict[str, Any]]:
    project = context.project
    pipelines = {pipeline["name"] for pipeline in project.pipelines}
    if name not in project.pipeline_runs and name not in pipelines:
        raise api_error(404, f"pipeline {name} does not exist", request)
    return project.pipeline_runs.get(name, [])


def _describe_day(day: str, runs: list[dict[str, Any]]) -> dict[str, object]:
    synced = [run["last_finish"] for run in runs if run["state"] == "succeeded"]
    return {"date": day, "sync_times": synced, "status": "synced" if synced else "pending"}
