"""What the service account may see.

Undocumented: the reply lists the account's projects under their numbers.
"""

from __future__ import annotations

from typing import Any

from ..catalog import endpoint
from ..errors import TruncatedError
from .client import Client, Reply, Request


def read_projects(client: Client, what: str = "project") -> dict[str, dict[str, Any]]:
    """Number -> description, for each project that the account is a member of; costs no quota.

    Args:
        client: whom to ask with.
        what: the name of the request, for messages.

    Raises:
        TruncatedError: the reply does not list projects, however often it is asked for.
    """
    return client.send(Request(what, endpoint("projects")), _read)


def _read(reply: Reply) -> dict[str, dict[str, Any]]:
    said = reply.json()
    results = said.get("results") if isinstance(said, dict) else None
    projects = results.get("projects", {}) if isinstance(results, dict) else None
    if not isinstance(projects, dict):
        raise TruncatedError("the reply does not list projects")
    return projects
