"""Checks whether the tables would load, with one request each and one that is unmetered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial

from typing_extensions import Unpack

from .. import constants
from ..api.client import Client
from ..api.clock import Clock
from ..api.projects import read_projects
from ..api.reply import Reply
from ..catalog.tables import DEFAULT_TABLES
from ..config.model import Config
from ..config.providers import load_config
from ..config.settings import Settings
from ..config.tables import select_tables
from ..constants import Hosts
from ..errors import AuthError, MixpanelError, UnavailableError
from ..paths import data_directory
from ..tables.registry import RESOURCES

MAX_PROJECTS = 50
"""Maximum projects that a message lists."""
RETRIES = 1
"""Maximum retries of a failed request: a person is waiting for the result."""


def check(
    tables: Sequence[str] = DEFAULT_TABLES,
    *,
    clock: Clock = time,
    regions: Mapping[str, Hosts] = constants.REGIONS,
    **settings: Unpack[Settings],
) -> dict[str, MixpanelError | None]:
    """Request a little of each table.

    If the project is not found, the other regions are asked too, with one request each.

    Args:
        tables: names of tables.
        clock: the time, and how to wait.
        regions: name -> hosts; where to search for the project.
        settings: take precedence over those configured.

    Returns:
        Table -> None if it would load, else the reason why not.

    Raises:
        ConfigError: a setting is missing or malformed.
        AuthError: Mixpanel does not know the account or the project, so no table would load.
        UnavailableError: Mixpanel cannot be reached.
    """
    config = load_config(settings)
    tables = select_tables(tables, config)
    config = replace(config, retries=min(config.retries, RETRIES))
    client = Client(config, clock=clock, directory=data_directory())
    search = partial(_search_regions, client, config, regions)
    try:
        is_member = _check_project(client, config)
    except AuthError as refusal:
        raise search(refusal, _check_project) from refusal
    results: dict[str, MixpanelError | None] = {}
    for table in tables:
        probe = partial(probe_table, table, clock)
        try:
            probe(client, config)
        except AuthError as refusal:
            raise search(refusal, probe) from refusal
        except MixpanelError as error:
            if isinstance(error, UnavailableError) and not (is_member or results):
                # neither the account nor the first table: there is no connection
                raise
            results[table] = error
        else:
            results[table] = None
    return results


def _check_project(client: Client, config: Config) -> bool:
    """Check that the account is a member of the project; False if its projects cannot be read."""
    projects = read_projects(client)
    if projects is None:
        return False
    if str(config.project_id) not in projects:
        raise not_a_member(config, projects)
    return True


def not_a_member(config: Config, projects: Iterable[str]) -> AuthError:
    """The error for an account that is known, but not in the project.

    Args:
        config: the settings.
        projects: numbers of those that it can read.
    """
    numbers = sorted(filter(str.isdigit, projects))[:MAX_PROJECTS]
    return AuthError(
        f"The service account is not a member of project_id {config.project_id}. Its projects "
        f"are {', '.join(numbers) or 'none'}; set project_id to one of them, or add "
        "the account to the project."
    )


def probe_table(table: str, clock: Clock, client: Client, config: Config) -> None:
    """Request a little of a table, without waiting for the quota.

    Raises:
        MixpanelError: it would not load.
    """
    now = datetime.fromtimestamp(clock.time(), timezone.utc)
    # no waiting for the quota: a person wants the answer now, not in an hour
    client.send(RESOURCES[table].probe(config, now), _read_probe, patience_s=0)


def _read_probe(reply: Reply) -> None:
    reply.body()
    reply.check_text()


def _search_regions(
    client: Client,
    config: Config,
    regions: Mapping[str, Hosts],
    refusal: AuthError,
    probe: Callable[[Client, Config], object],
) -> AuthError:
    """The refusal, or an error that names the region which knows the project."""
    here = [name for name, hosts in regions.items() if hosts.query == config.base_url]
    if not here:
        # a proxy, or the sandbox: its regions are unknown
        return refusal
    refused = []
    for name, hosts in regions.items():
        there = replace(
            config,
            region=name,
            base_url=hosts.query,
            export_base_url=hosts.export,
            ingestion_base_url=hosts.ingestion,
            retries=0,
        )
        if name in here:
            continue
        try:
            probe(client.for_hosts_of(there), there)
        except AuthError:
            refused.append(name)
        except MixpanelError:
            continue
        else:
            return AuthError(
                f"project_id {config.project_id} is not in region {here[0]}, but in region {name}: "
                f"set region to {name}."
            )
    also = f" The regions {', '.join(refused)} refuse it too." if refused else ""
    return AuthError(f"{refusal.reason}{also}", subject=refusal.subject)
