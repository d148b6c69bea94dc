"""The project that is written to: whether it is the one that is meant."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from mixpanel_source.errors import AuthError, ConfigError, MixpanelError

from ..api.call import Call
from ..api.client import Client
from ..settings import Settings

_DOMAINS = {"mixpanel.com": "us", "eu.mixpanel.com": "eu", "in.mixpanel.com": "in"}
_MISMATCH = re.compile("mismatch|invalid|unauthorized|not a", re.IGNORECASE)


class Target(NamedTuple):
    """A project, as the account sees it."""

    project_id: int
    name: str
    """Empty if it is not known."""
    region: str

    def __str__(self) -> str:
        """For people."""
        name = f'"{self.name}", ' if self.name else ""
        return f"project {self.project_id} ({name}{self.region.upper()})"


def check_project(settings: Settings, given: int, *, same_project: bool = False) -> None:
    """Check, without a request, that the configured project is the one that is meant.

    Args:
        settings: of the destination.
        given: what the user gave as `--project-id`.
        same_project: whether it may be the project that is read.

    Raises:
        ConfigError: it is not.
    """
    if given != settings.project_id:
        raise ConfigError(
            f"--project-id is {given}, but destination.{settings.name}.project_id is "
            f"{settings.project_id}. They must be the same: the one that you mean to write to."
        )
    if given == _source_project() and not same_project:
        raise ConfigError(
            f"project {given} is also the source, sources.mixpanel.project_id. Give --same-project "
            "if you mean to write to the project that you read."
        )


def find_target(client: Client) -> Target:
    """The project that is written to, from the account's list of projects.

    Raises:
        AuthError: the account is not a member of the project.
        ConfigError: the project is in another region.
    """
    settings = client.settings
    call = Call(method="GET", host="query", path="/api/app/me", label="projects")
    results = client.send(call).json()
    projects = _part(_part(results, "results"), "projects")
    if not projects:
        return Target(settings.project_id, "", settings.region)
    project = projects.get(str(settings.project_id))
    if project is None:
        raise AuthError(
            f"the service account {settings.username} is not a member of project "
            f"{settings.project_id}. Add it in the project's settings, or check project_id."
        )
    region = _DOMAINS.get(str(_part(project, "domain")), settings.region)
    if region != settings.region:
        raise ConfigError(
            f"project {settings.project_id} is in region {region}, but "
            f"destination.{settings.name}.region is {settings.region}."
        )
    return Target(settings.project_id, str(project.get("name") or ""), region)


def check_token(client: Client) -> None:
    """Check that the token is that of the project, with an event that Mixpanel must refuse.

    Mixpanel does not check the token of updates, and drops those with a wrong one silently. As
    credentials of /import it does.

    Raises:
        ConfigError: it is not the project's.
    """
    settings = client.settings
    if settings.token is None:
        raise ConfigError(
            f"token is not set. Set it in [destination.{settings.name}] of .dlt/secrets.toml."
        )
    event = {
        "event": "token check",
        "properties": {"time": 0, "distinct_id": "x", "$insert_id": "x"},
    }
    wrong = ConfigError(
        f"token of destination.{settings.name} is not that of project {settings.project_id}. See "
        "the project's settings; Mixpanel would drop what is sent with it."
    )
    call = Call(
        path="/import",
        label="token check",
        params={"strict": "1"},
        body=orjson.dumps([event]),
        by_token=True,
    )
    try:
        reply = client.send(call)
    except AuthError:
        raise wrong from None
    body = reply.json()
    if not _part(body, "failed_records"):
        error = str(_part(body, "error") or "")
        raise (
            wrong
            if _MISMATCH.search(error)
            else MixpanelError(f"the token cannot be checked: {client.words(error)!r}.")
        )


def _part(value: Any, key: str) -> Any:  # noqa: ANN401 - any JSON value
    return value.get(key) if isinstance(value, dict) else None


def _source_project() -> int | None:
    """The project that is configured to be read; nothing else of the source is looked at."""
    from dlt.common.typing import AnyType  # noqa: PLC0415 - slow to load

    from mixpanel_source.config.dlt_settings import settings_providers  # noqa: PLC0415

    for section in ("mixpanel", "mixpanel_source"):
        for provider in settings_providers():
            value, _ = provider.get_value("project_id", AnyType, None, "sources", section)
            if value is not None and str(value).strip().isdecimal():
                return int(str(value))
    return None
