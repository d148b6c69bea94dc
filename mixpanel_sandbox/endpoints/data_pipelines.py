"""Data pipelines and lookup tables: what is set up, not what is in it."""

from __future__ import annotations

from typing import Any

from ..context import World
from ..messages import Reply, Request, json_reply, refused
from .params import parse_words, require

STATES = ("pending", "running", "retried", "failed", "canceled", "succeeded", "timed_out")


def list_pipelines(world: World, _request: Request) -> Reply:
    """Answer with all pipelines, under the id of the project.

    Source: https://developer.mixpanel.com/reference/list-warehouse-pipeline-jobs
    """
    return json_reply({str(world.project.project_id): world.project.pipelines})


def get_pipeline_status(world: World, request: Request) -> Reply:
    """Answer with the runs of one pipeline by their state, or with how many there are.

    Source: https://developer.mixpanel.com/reference/get-warehouse-pipeline-status

    Raises:
        RefusedError: 400, `name` is missing; 404, there is no such pipeline.
    """
    runs = _find_runs(world, request, require(request, "name"))
    wanted = parse_words(request, "status")
    by_state = {
        state: [run for run in runs if run["state"] == state]
        for state in STATES
        if not wanted or state in wanted
    }
    if request.params.get("summary", "").lower() == "true":
        return json_reply({state: len(found) for state, found in by_state.items()})
    return json_reply(by_state)


def get_pipeline_timeline(world: World, request: Request) -> Reply:
    """Answer when the data of each day was last synced, by one pipeline or by all.

    Source: https://developer.mixpanel.com/reference/list-warehouse-pipeline-sync-dates

    Raises:
        RefusedError: 404, there is no such pipeline.
    """
    name = request.params.get("name")
    names = [name] if name else list(world.project.pipeline_runs)
    days: dict[str, list[dict[str, Any]]] = {}
    for known in names:
        for run in _find_runs(world, request, known):
            days.setdefault(run["from_date"], []).append(run)
    return json_reply({"day_syncs": [_describe_day(day, days[day]) for day in sorted(days)]})


def list_lookup_tables(world: World, _request: Request) -> Reply:
    """Answer with the ids and names of all lookup tables.

    Source: https://developer.mixpanel.com/reference/list-lookup-tables
    """
    return json_reply({"code": 200, "status": "OK", "results": world.project.lookup_tables})


def _find_runs(world: World, request: Request, name: str) -> list[dict[str, Any]]:
    project = world.project
    if name not in project.pipeline_runs and name not in {one["name"] for one in project.pipelines}:
        raise refused(404, f"pipeline {name} does not exist", request)
    return project.pipeline_runs.get(name, [])


def _describe_day(day: str, runs: list[dict[str, Any]]) -> dict[str, object]:
    synced = [run["last_finish"] for run in runs if run["state"] == "succeeded"]
    return {"date": day, "sync_times": synced, "status": "synced" if synced else "pending"}
