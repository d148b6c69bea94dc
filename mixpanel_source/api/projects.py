"""The projects that the service account can read.

Undocumented: the reply lists the account's projects under their numbers.
"""

from __future__ import annotations

from typing import Any

from ..catalog.endpoints import endpoint
from ..errors import TruncatedError
from .client import Client
from .reply import Reply
from .request import Request


def read_projects(client: Client) -> dict[str, dict[str, Any]]:
    """Number -> description, for each project that the account is a member of; unmetered.

    Raises:
        TruncatedError: the reply does not list projects, in none of the tries.
    """
    return client.send(Request(endpoint("projects"), detail="project"), _parse_projects)


def _parse_projects(reply: Reply) -> dict[str, dict[str, Any]]:
    body = reply.json()
    results = body.get("results") if isinstance(body, dict) else None
    projects = results.get("projects", {}) if isinstance(results, dict) else None
    if not isinstance(projects, dict):
        raise TruncatedError("the reply does not list projects")
    return projects
