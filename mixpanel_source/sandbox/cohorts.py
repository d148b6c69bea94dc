"""The cohort list and the account: two replies without pages or filters."""

from __future__ import annotations

from .message import Reply, Request, json_reply
from .world import World

ACCOUNT_ID = 4242


def list_cohorts(world: World, _request: Request) -> Reply:
    """Answer with all cohorts as a bare array.

    Source: https://developer.mixpanel.com/reference/cohorts-list
    """
    return json_reply(world.project.cohorts)


def describe_account(world: World, _request: Request) -> Reply:
    """Answer with the service account and its one project, in the envelope of the app API.

    Undocumented; the zone of the project is under `results.projects.<id>.timezone`.
    """
    project = world.project
    described = {
        "id": project.project_id,
        "name": "Sandbox",
        "timezone": project.timezone,
        "role": {"id": 1, "name": "analyst"},
    }
    results = {"user_id": ACCOUNT_ID, "projects": {str(project.project_id): described}}
    return json_reply({"status": "ok", "results": results})
