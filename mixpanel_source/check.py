"""Whether the tables would load, at the cost of one request each and one that is free."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from . import settings
from .client import Client, Clock, Reply, Request
from .config import Config
from .errors import AccessError, AuthError, MixpanelError, PlanError
from .lookup import load_config
from .resources import cohorts, engage, export
from .resources.session import data_directory
from .windows import Window, newest_day


def check(
    tables: Sequence[str],
    *,
    clock: Clock = time,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> dict[str, MixpanelError | None]:
    """Ask Mixpanel for a little of each table.

    Args:
        tables: names of tables.
        clock: the time, and how to wait.
        given: settings, which go before those configured.

    Returns:
        Table -> None if it would load, or why not.

    Raises:
        ConfigError: a setting is missing or malformed.
        AuthError: Mixpanel does not know the account or the project.
    """
    config = load_config(given)
    client = Client(config, clock=clock, directory=data_directory())
    _check_project(client, config)
    found: dict[str, MixpanelError | None] = {}
    for table in tables:
        try:
            client.send(_probe(table, config, clock), Reply.body)
        except (AuthError, AccessError, PlanError) as error:
            found[table] = error
        else:
            found[table] = None
    return found


def _check_project(client: Client, config: Config) -> None:
    request = Request("project", "query", "GET", settings.ME_PATH, metered=False)
    me = json.loads(client.send(request, Reply.body))
    projects = me.get("results", {}).get("projects", {})
    if str(config.project_id) not in projects:
        raise AuthError(
            f"The service account is not a member of project_id {config.project_id}. Its projects "
            f"are {', '.join(sorted(projects)) or 'none'}; set project_id to one of them, or add "
            "the account to the project."
        )


def _probe(table: str, config: Config, clock: Clock) -> Request:
    if table == "export":
        now = datetime.fromtimestamp(clock.time(), timezone.utc)
        day = newest_day(now, zone=config.project_timezone, include_today=False)
        return export.build_request(Window(day, day), config, limit=1)
    if table == "engage":
        return engage.build_request(page_size=1)
    return cohorts.build_request()
