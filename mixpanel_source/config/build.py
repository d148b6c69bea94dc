"""Builds a `Config` from the values given for settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..constants import REGIONS
from ..errors import ConfigError
from .model import SETTING_NAMES, SETTINGS, Config
from .parsers import is_given, nearest_hint


def build_config(values: Mapping[str, object]) -> Config:
    """Parse `values` and return them as a `Config`.

    Args:
        values: setting name -> value as given; None, blank text and absent mean the default.

    Raises:
        ConfigError: on the first setting that is missing, unknown or malformed, or that excludes
            another one.
    """
    given = {name: value for name, value in values.items() if is_given(value)}
    check_names(given)
    parsed: dict[str, Any] = {
        declared.name: declared.parser(declared.name, given[declared.name])
        for declared in SETTINGS
        if declared.name in given
    }
    for declared in SETTINGS:
        if declared.required and declared.name not in parsed:
            raise ConfigError(
                f"{declared.name} is not set. Set it in [sources.mixpanel] of .dlt/secrets.toml, "
                f"as SOURCES__MIXPANEL__{declared.name.upper()} in the environment, or as an "
                "argument."
            )
    if parsed.get("archive") and parsed.get("window_days", 1) != 1:
        raise ConfigError(
            "window_days must be 1 if archive is set, because an archive has a file for each day. "
            "Leave out one of them."
        )
    hosts = REGIONS[parsed.get("region", Config.region)]
    by_region = {
        "base_url": hosts.query,
        "export_base_url": hosts.export,
        "ingestion_base_url": hosts.ingestion,
    }
    return Config(**{**by_region, **parsed})


def check_names(
    names: Iterable[str],
    *,
    places: Mapping[str, str] | None = None,
    valid: Sequence[str] = SETTING_NAMES,
) -> None:
    """Refuse settings that do not exist, and suggest the nearest that do.

    Args:
        names: names of settings.
        places: name -> where it was found, if it was not an argument.
        valid: the names that exist.

    Raises:
        ConfigError: naming the unknown settings.
    """
    listed = ", ".join(valid)
    unknown = [
        f"there is no setting {name}{f' ({places[name]})' if places else ''}:"
        f"{nearest_hint([name], valid) or f' the settings are {listed}.'}"
        for name in names
        if name not in valid
    ]
    if unknown:
        raise ConfigError(" ".join(unknown))
