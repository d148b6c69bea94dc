"""Looks settings up where a dlt user keeps them; no other module does.

The sections are `[sources.mixpanel]` and, as `dlt init` writes it, `[sources.mixpanel_source]`. The
places are those of dlt, in its order: the environment, `.dlt/secrets.toml`, `.dlt/config.toml` and
any vault that dlt is configured to use. dlt's own injection would also take a bare `USERNAME` or
`REGION` from the environment, which many systems set to something else.

Source: https://dlthub.com/docs/general-usage/credentials/setup.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import ConfigProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.typing import AnyType

from .build import build_config, check_names
from .model import SETTING_NAMES, Config

ENVIRONMENT = "Environment Variables"
"""Name of dlt's provider for the environment, which cannot list what it holds."""
SECTIONS = (("sources", "mixpanel"), ("sources", "mixpanel_source"))


def load_config(settings: Mapping[str, object]) -> Config:
    """Resolve all settings of a run: those passed, and the configured ones for the rest.

    Args:
        settings: setting name -> value, see `Settings`; None means not passed.

    Raises:
        ConfigError: a setting is missing, unknown or malformed.
    """
    check_names(settings)
    configured = _configured_names()
    check_names(configured, places=configured)
    looked_up = {name: _look_up(name) for name in SETTING_NAMES if settings.get(name) is None}
    return build_config({**settings, **looked_up})


def _providers() -> Iterable[ConfigProvider]:
    return Container()[PluggableRunContext].providers.providers


def _look_up(name: str) -> Any:  # noqa: ANN401 - a provider holds values of any type
    # not through dlt.config: dlt writes what is read there, secrets too, into the trace of the run
    for section in SECTIONS:
        for provider in _providers():
            value, _ = provider.get_value(name, AnyType, None, *section)
            if value is not None:
                return value
    return None


def _configured_names() -> dict[str, str]:
    """Every name in the sections, valid or not -> the place where it is configured."""
    places: dict[str, str] = {}
    for section in SECTIONS:
        prefix = "__".join(section).upper() + "__"
        for variable in os.environ:
            name = variable.removeprefix(prefix).lower()
            # deeper names are dlt's own settings, of a table or a file writer
            if variable.startswith(prefix) and "__" not in name:
                places[name] = variable
        for provider in _providers():
            if provider.name == ENVIRONMENT:
                continue
            values, _ = provider.get_value(section[-1], AnyType, None, *section[:-1])
            if isinstance(values, dict):
                place = f"[{'.'.join(section)}] of {provider.name}"
                places |= {name: place for name in values if not isinstance(values[name], dict)}
    return places
