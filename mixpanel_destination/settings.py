"""The settings of the project that is written to.

They are in `[destination.mixpanel]`, or `DESTINATION__MIXPANEL__...` in the environment. Nothing is
taken from `[sources.mixpanel]`: the project that is read is hardly ever the one to write to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypedDict

from mixpanel_source.config.declaration import Setting, setting, setting_of
from mixpanel_source.config.parsers import (
    is_given,
    nearest_hint,
    number_from,
    parse_region,
    parse_text,
    parse_url,
)
from mixpanel_source.constants import REGIONS
from mixpanel_source.errors import ConfigError

from . import constants

NAME = "mixpanel"
"""Name of the destination, and of the section of its settings."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a destination, parsed and complete."""

    username: str = setting(
        parse_text,
        "User name of a service account with the role owner or admin in the project",
        example="name.a1b2c3.mp-service-account",
        file="secrets.toml",
    )
    secret: str = setting(
        parse_text, "Secret of the service account", example="...", file="secrets.toml"
    )
    token: str | None = setting(
        parse_text,
        "Token of the project, which profiles and groups need; see Project settings > Overview",
        default=None,
        default_text="none",
        example="...",
        file="secrets.toml",
    )
    oauth_token: str | None = setting(
        parse_text,
        "OAuth token of a user, which requests about persons need (GDPR, CCPA)",
        default=None,
        default_text="none",
        example="...",
        file="secrets.toml",
    )
    project_id: int = setting(
        number_from(int, 1),
        "Number of the project",
        example=1234567,
        file="secrets.toml",
    )
    region: str = setting(parse_region, "Data residency of the project", default="us")
    base_url: str = setting(
        parse_url,
        "Host of the app API, such as a proxy or the sandbox",
        default_text="the region's",
        example="https://mixpanel.com",
    )
    export_base_url: str = setting(
        parse_url,
        "Host of raw events and data pipelines",
        default_text="the region's",
        example="https://data.mixpanel.com",
    )
    ingestion_base_url: str = setting(
        parse_url,
        "Host that events and profiles are sent to",
        default_text="the region's",
        example="https://api.mixpanel.com",
    )
    pace: int = setting(
        number_from(int, 0),
        "Maximum events per second, and as a share of it bytes per minute; 0 for no limit",
        default=constants.EVENTS_PER_SECOND,
    )
    retention_days: int = setting(
        number_from(int, 1),
        "Days that the project keeps events; older ones are refused",
        default=constants.RETENTION_DAYS,
    )
    name: str = field(default=NAME)
    """Of the destination, which is that of the section."""

    def __repr__(self) -> str:
        """Without the secret and the token."""
        return f"Settings(project_id={self.project_id}, region={self.region!r})"


class SettingValues(TypedDict, total=False):
    """What may be passed for settings; absent ones are looked up."""

    username: str
    secret: str
    token: str
    oauth_token: str
    project_id: int | str
    region: str
    base_url: str
    export_base_url: str
    ingestion_base_url: str
    pace: int | str
    retention_days: int | str


SETTINGS: tuple[Setting, ...] = tuple(
    setting_of(declared) for declared in fields(Settings) if declared.name != "name"
)
SETTING_NAMES = tuple(declared.name for declared in SETTINGS)


def load_settings(values: Mapping[str, object] | None = None, *, name: str = NAME) -> Settings:
    """Resolve all settings: those passed, and the configured ones for the rest.

    Args:
        values: setting name -> value; None means not passed.
        name: of the destination, which is that of its section.

    Raises:
        ConfigError: a setting is missing, unknown or malformed; the message names it.
    """
    from mixpanel_source.config.dlt_settings import check_dlt_settings  # noqa: PLC0415 - slow

    passed = {key: value for key, value in (values or {}).items() if is_given(value)}
    _check_names(passed, name)
    check_dlt_settings()
    _check_names(_configured_names(name), name)
    given = {key: passed[key] if key in passed else _look_up(key, name) for key in SETTING_NAMES}
    return _build({key: value for key, value in given.items() if is_given(value)}, name)


def _build(given: Mapping[str, object], name: str) -> Settings:
    parsed: dict[str, Any] = {
        declared.name: declared.parser(f"destination.{name}.{declared.name}", given[declared.name])
        for declared in SETTINGS
        if declared.name in given
    }
    hosts = REGIONS[parsed.get("region", Settings.region)]
    by_region = {
        "base_url": hosts.query,
        "export_base_url": hosts.export,
        "ingestion_base_url": hosts.ingestion,
    }
    for declared in SETTINGS:
        if declared.name in parsed or declared.name in by_region:
            continue
        if declared.default is MISSING:
            raise ConfigError(
                f"{declared.name} is not set. Set it in [destination.{name}] of "
                f".dlt/secrets.toml, or as {_variable(name, declared.name)} in the environment. "
                "The settings of the source are not used for writing."
            )
    return Settings(**{**by_region, **parsed}, name=name)


def _look_up(key: str, name: str) -> object:
    # not through dlt.config: dlt writes what is read there, secrets too, into the trace of the run
    from dlt.common.typing import AnyType  # noqa: PLC0415 - slow to load

    from mixpanel_source.config.dlt_settings import settings_providers  # noqa: PLC0415 - slow

    for provider in settings_providers():
        value, _ = provider.get_value(key, AnyType, None, "destination", name)
        if value is not None:
            return value
    return None


def _configured_names(name: str) -> Iterator[str]:
    """The names in the section, valid or not."""
    from dlt.common.typing import AnyType  # noqa: PLC0415 - slow to load

    from mixpanel_source.config.dlt_settings import settings_providers  # noqa: PLC0415 - slow

    prefix = _variable(name, "")
    for variable in os.environ:
        key = variable.removeprefix(prefix).lower()
        # deeper names are dlt's own settings
        if variable.startswith(prefix) and "__" not in key:
            yield key
    for provider in settings_providers():
        section, _ = provider.get_value(name, AnyType, None, "destination")
        if isinstance(section, Mapping):
            yield from (key for key, value in section.items() if not isinstance(value, Mapping))


def _variable(name: str, key: str) -> str:
    return f"DESTINATION__{name.upper()}__{key.upper()}"


_OF_DLT = ("batch_size", "environment", "loader_file_format", "destination_type")
"""What dlt itself reads in the section."""


def _check_names(names: Mapping[str, object] | Iterator[str], name: str) -> None:
    for key in names:
        if key not in SETTING_NAMES and key not in _OF_DLT:
            hint = nearest_hint([key], SETTING_NAMES) or f" they are {', '.join(SETTING_NAMES)}."
            raise ConfigError(f"there is no setting destination.{name}.{key}:{hint}")
