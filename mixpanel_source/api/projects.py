"""The projects that the service account can read.

Undocumented: the reply lists the account's projects under their numbers.
"""

from __future__ import annotations

import logging
from typing import Any

from ..catalog.endpoints import endpoint
from ..decode.reply_values import unexpected
from ..errors import AuthError, PausedError, RequestError, UnavailableError
from .client import Client
from .reply import Reply
from .request import Request

logger = logging.getLogger("mixpanel_source")

_TRIES = 2
_PATIENCE_S = 60.0


def read_projects(client: Client) -> dict[str, dict[str, Any]] | None:
    """Number -> description, for each project that the account is a member of; unmetered.

    Returns:
        None if they cannot be read, which is logged: no load depends on this endpoint, which a
        proxy may not let through.

    Raises:
        AuthError: Mixpanel does not know the account.
    """
    try:
        return request_projects(client)
    except AuthError:
        raise
    except (RequestError, UnavailableError, PausedError) as error:
        logger.warning(
            "The account's projects cannot be read, which a sync does not need. %s", error
        )
        return None


def request_projects(client: Client) -> dict[str, dict[str, Any]]:
    """The same, where the reason matters if they cannot be read.

    Raises:
        AuthError: Mixpanel does not know the account.
        RequestError: the endpoint is refused or missing, as by a proxy.
        UnavailableError: Mixpanel cannot be reached.
        PausedError: the next request is allowed only later.
    """
    request = Request(endpoint("projects"), detail="project")
    return client.send(request, _parse_projects, max_tries=_TRIES, patience_s=_PATIENCE_S)


def _parse_projects(reply: Reply) -> dict[str, dict[str, Any]]:
    body = reply.json()
    results = body.get("results") if isinstance(body, dict) else None
    projects = results.get("projects", {}) if isinstance(results, dict) else None
    if not isinstance(projects, dict):
        raise unexpected("a list of projects")
    return projects
