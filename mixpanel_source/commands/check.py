"""Whether the tables would load, at the cost of one request each and one that is free."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from .. import constants
from ..api.client import Client, Clock, Reply
from ..api.projects import read_projects
from ..config.model import Config
from ..config.providers import load_config
from ..config.tables import select_tables
from ..constants import Hosts
from ..errors import AuthError, MixpanelError
from ..paths import data_directory
from ..tables.registry import RESOURCES

RETRIES = 1
"""How often a failed request is tried again: somebody is waiting for the answer."""


def check(
    tables: Sequence[str],
    *,
    clock: Clock = time,
    regions: Mapping[str, Hosts] = constants.REGIONS,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> dict[str, MixpanelError | None]:
    """Ask Mixpanel for a little of each table.

    Where the project is not found, the other regions are asked for it too, a request each.

    Args:
        tables: names of tables.
        clock: the time, and how to wait.
        regions: name -> hosts; those to look for the project in.
        given: settings, which go before those configured.

    Returns:
        Table -> None if it would load, or why not.

    Raises:
        ConfigError: a setting is missing or malformed.
        AuthError: Mixpanel does not know the account or the project, so that no table would load.
        UnavailableError: Mixpanel cannot be reached.
    """
    config = load_config(given)
    tables = select_tables(tables, config)
    config = replace(config, retries=min(config.retries, RETRIES))
    client = Client(config, clock=clock, directory=data_directory())
    search = partial(_look_elsewhere, client, config, regions)
    try:
        _check_project(client, config)
    except AuthError as refusal:
        raise search(refusal, _check_project) from refusal
    found: dict[str, MixpanelError | None] = {}
    for table in tables:
        ask = partial(_ask_for, table, clock)
        try:
            ask(client, config)
        except AuthError as refusal:
            raise search(refusal, ask) from refusal
        except MixpanelError as error:
            found[table] = error
        else:
            found[table] = None
    return found


def _check_project(client: Client, config: Config) -> None:
    """See that the account is a member of the project."""
    projects = read_projects(client)
    if str(config.project_id) not in projects:
        raise AuthError(
            f"The service account is not a member of project_id {config.project_id}. Its projects "
            f"are {', '.join(sorted(projects)) or 'none'}; set project_id to one of them, or add "
            "the account to the project."
        )


def _ask_for(table: str, clock: Clock, client: Client, config: Config) -> None:
    # whoever checks wants to know now, and not when the hour is over
    now = datetime.fromtimestamp(clock.time(), timezone.utc)
    client.send(RESOURCES[table].probe(config, now), Reply.body, patience_s=0)


def _look_elsewhere(
    client: Client,
    config: Config,
    regions: Mapping[str, Hosts],
    refusal: AuthError,
    ask: Callable[[Client, Config], None],
) -> AuthError:
    """The refusal, or where the project is if another region has it."""
    here = [name for name, hosts in regions.items() if hosts.query == config.base_url]
    if not here:
        # a proxy, or the sandbox: there is no telling what the regions are
        return refusal
    refused = []
    for name, hosts in regions.items():
        there = replace(
            config,
            base_url=hosts.query,
            export_base_url=hosts.export,
            ingestion_base_url=hosts.ingestion,
            retries=0,
        )
        if name in here:
            continue
        try:
            ask(client.elsewhere(there), there)
        except AuthError:
            refused.append(name)
        except MixpanelError:
            continue
        else:
            return AuthError(
                f"project_id {config.project_id} is not in region {here[0]}, but in region {name}: "
                f"set region to {name}."
            )
    also = f" The regions {', '.join(refused)} say no as well." if refused else ""
    return AuthError(f"{refusal}{also}")
