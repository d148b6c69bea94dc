"""First contact: finds the region of a project, and stores the settings that read it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from typing_extensions import Unpack

from .. import constants
from ..api.client import Client
from ..api.clock import Clock
from ..api.projects import request_projects
from ..config.model import Config
from ..config.providers import load_config
from ..config.settings import Settings
from ..constants import Hosts
from ..errors import AuthError, MixpanelError, UnavailableError
from ..paths import data_directory
from .check import not_a_member, probe_table


def find_project(
    *,
    clock: Clock = time,
    regions: Mapping[str, Hosts] | None = None,
    **settings: Unpack[Settings],
) -> Config:
    """Find the region that knows the account and the project, with one unmetered request for each.

    Args:
        clock: the time, and how to wait.
        regions: name -> hosts; where to search. By default those of Mixpanel or, if `base_url` is
            configured, that host alone.
        settings: username, secret and project_id; with `region`, another one is an error.

    Returns:
        The settings, with the region and its hosts.

    Raises:
        ConfigError: a setting is missing or malformed.
        AuthError: no region knows the account, it is not a member of the project, or the region
            that was given is another one. The message says which.
        UnavailableError: Mixpanel cannot be reached.
    """
    # a person is waiting for the answer
    config = replace(load_config(settings), retries=0)
    search = _Search(config, clock)
    for name, hosts in _candidates(config, regions or constants.REGIONS).items():
        there = replace(
            config,
            region=name,
            base_url=hosts.query,
            export_base_url=hosts.export,
            ingestion_base_url=hosts.ingestion,
        )
        if search.try_region(there):
            given = settings.get("region")
            if given and given != name:
                raise AuthError(
                    f"project_id {config.project_id} is not in region {given}, but in region "
                    f"{name}: set region to {name}."
                )
            return replace(there, retries=Config.retries)
    raise search.error()


class _Search:
    """What the regions answered so far."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._client = Client(config, clock=clock, directory=data_directory())
        self._projects: dict[str, list[str]] = {}
        self._refused: list[str] = []
        self._failed: dict[str, MixpanelError] = {}

    def try_region(self, config: Config) -> bool:
        """Whether the region knows the account and the project."""
        client = self._client.for_hosts_of(config)
        try:
            projects = request_projects(client)
        except AuthError:
            self._refused.append(config.region)
        except UnavailableError as error:
            self._failed[config.region] = error
        except MixpanelError:
            return self._try_export(client, config)
        else:
            if str(config.project_id) in projects:
                return True
            self._projects[config.region] = [*projects]
        return False

    def _try_export(self, client: Client, config: Config) -> bool:
        """The same where the account's projects cannot be read, as through some proxies."""
        try:
            probe_table("export", self._clock, client, config)
        except AuthError:
            self._refused.append(config.region)
        except MixpanelError as error:
            self._failed[config.region] = error
        else:
            return True
        return False

    def error(self) -> MixpanelError:
        """Why no region was found."""
        known = [number for numbers in self._projects.values() for number in numbers]
        if known:
            return not_a_member(self._config, known)
        failures = [*self._failed.values()]
        if failures and not self._refused:
            return failures[0]
        unknown = "".join(
            f" Region {name} could not be asked: {error.reason}"
            for name, error in self._failed.items()
        )
        return AuthError(f"{self._advice()}{unknown}")

    def _advice(self) -> str:
        refused = ", ".join([*self._refused, *self._projects])
        if "@" in self._config.username:
            return (
                "username is an e-mail address. Give the username of a service account, which ends "
                "in .mp-service-account; see Organization settings > Service accounts."
            )
        return (
            f"Mixpanel does not know a service account with this username and secret in {refused}. "
            "Check both, and that the account has not expired; see Organization settings > Service "
            "accounts. The secret is shown only when an account is created: if it is lost, create "
            "another account."
        )


def _candidates(config: Config, regions: Mapping[str, Hosts]) -> dict[str, Hosts]:
    """The regions to ask, the configured one first."""
    here = Hosts(config.base_url, config.export_base_url, config.ingestion_base_url)
    if config.base_url not in {hosts.query for hosts in regions.values()}:
        # a proxy, or the sandbox: it stands for the region
        return {config.region: here}
    return {config.region: regions[config.region], **regions}
