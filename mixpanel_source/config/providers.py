"""Finds settings where a dlt user keeps them.

Looked up are `[sources.mixpanel]` and, for those who copied the package with `dlt init`,
`[sources.mixpanel_source]`, in the environment, `.dlt/secrets.toml`, `.dlt/config.toml` and what
other providers dlt was given, in dlt's order. Left to itself dlt would also take a bare `USERNAME`
or `REGION` from the environment, which many systems set to something else.

Source: https://dlthub.com/docs/general-usage/credentials/setup.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.typing import AnyType

from .model import SETTING_NAMES, Config, build_config, check_names

ENVIRONMENT = "Environment Variables"
"""Name of the provider that has no list of what it holds, other than the environment itself."""
SECTIONS = (("sources", "mixpanel"), ("sources", "mixpanel_source"))


def load_config(given: Mapping[str, Any]) -> Config:
    """The settings of a run: those `given`, and for the others what was configured.

    Args:
        given: setting name -> value; None means not given.

    Raises:
        ConfigError: a setting is missing, unknown or malformed.
    """
    check_names(given)
    written = _written()
    check_names(written, where=written)
    found = {name: _find(name) for name in SETTING_NAMES if given.get(name) is None}
    return build_config({**given, **found})


def _find(name: str) -> Any:  # noqa: ANN401 - whatever the provider holds
    # not by dlt.config: what is read there is written, secret or not, into the trace of the run
    providers = Container()[PluggableRunContext].providers.providers
    for section in SECTIONS:
        for provider in providers:
            value, _ = provider.get_value(name, AnyType, None, *section)
            if value is not None:
                return value
    return None


def _written() -> dict[str, str]:
    """Every name that stands in our sections, known or not -> where it stands."""
    written: dict[str, str] = {}
    for section in SECTIONS:
        prefix = "__".join(section).upper() + "__"
        for variable in os.environ:
            name = variable.removeprefix(prefix).lower()
            # what goes deeper is dlt's own, for a table or a writer
            if variable.startswith(prefix) and "__" not in name:
                written[name] = variable
        for provider in Container()[PluggableRunContext].providers.providers:
            if provider.name == ENVIRONMENT:
                continue
            values, _ = provider.get_value(section[-1], AnyType, None, *section[:-1])
            if isinstance(values, dict):
                place = f"[{'.'.join(section)}] of {provider.name}"
                written |= {name: place for name in values if not isinstance(values[name], dict)}
    return written
