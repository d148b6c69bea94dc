"""The cohort list: a reply without pages or filters."""

from __future__ import annotations

from ..context import World
from ..messages import Reply, Request, json_reply


def list_cohorts(world: World, _request: Request) -> Reply:
    """Answer with all cohorts as a bare array.

    Source: https://developer.mixpanel.com/reference/cohorts-list
    """
    return json_reply(world.project.cohorts)
