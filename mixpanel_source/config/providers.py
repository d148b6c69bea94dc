"""Looks settings up where a dlt user keeps them; no other module does.

The sections are `[sources.mixpanel]` and, as `dlt init` writes it, `[sources.mixpanel_source]`. The
places are those of dlt, in its order: the environment, `.dlt/secrets.toml`, `.dlt/config.toml` and
any vault that dlt is configured to use. dlt's own injection would also take a bare `USERNAME` or
`REGION` from the environment, which many systems set to something else. A secret that is in none of
these places is looked up in the keyring of the system.

Source: https://dlthub.com/docs/general-usage/credentials/setup.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from dlt.common.configuration.providers import ConfigProvider
from dlt.common.typing import AnyType

from ..errors import ConfigError
from .build import build_config, check_names
from .dlt_settings import check_dlt_settings, settings_providers
from .masking import MaskRules, check_mask, parse_mask, parse_mask_key
from .model import SETTING_NAMES, Config
from .parsers import is_given
from .settings_errors import ENVIRONMENT

KEYRING_SERVICE = "mixpanel-source"
"""Under which name the keyring of the system keeps secrets, one for each username."""
SECTIONS = (("sources", "mixpanel"), ("sources", "mixpanel_source"))


def load_config(settings: Mapping[str, object]) -> Config:
    """Resolve all settings of a run: those passed, and the configured ones for the rest.

    Args:
        settings: setting name -> value, see `Settings`; None means not passed.

    Raises:
        ConfigError: a setting, of ours or of dlt, is missing, unknown or malformed.
    """
    check_names(settings)
    check_dlt_settings()
    configured = _configured_names()
    check_names(configured, places=configured)
    looked_up = {name: look_up(name) for name in SETTING_NAMES if settings.get(name) is None}
    values = {**settings, **looked_up}
    if values["secret"] is None and isinstance(username := values["username"], str):
        values["secret"] = _read_keyring(username)
    return build_config(values)


def _read_keyring(username: str) -> str | None:
    """The secret of an account; None if there is none, or no keyring."""
    if find_spec("keyring") is None:
        return None
    import keyring  # noqa: PLC0415 - an extra, and slow to import
    from keyring.errors import KeyringError  # noqa: PLC0415 - as above

    with suppress(KeyringError):  # the system has no keyring, or it is locked
        secret: str | None = keyring.get_password(KEYRING_SERVICE, username)
        return secret
    return None


def load_mask(settings: Mapping[str, object]) -> tuple[MaskRules, str | None]:
    """The settings `mask` and `mask_key` alone, for commands that need no account.

    Args:
        settings: take precedence over those configured.

    Raises:
        ConfigError: one of them is malformed, or the key is missing.
    """
    rules, key = (settings.get(name) or look_up(name) for name in ("mask", "mask_key"))
    mask = parse_mask("mask", rules) if is_given(rules) else ()
    mask_key = parse_mask_key("mask_key", key) if is_given(key) else None
    check_mask(mask, mask_key, None)
    return mask, mask_key


def look_up(name: str, sections: Sequence[Sequence[str]] = SECTIONS) -> Any:  # noqa: ANN401 - a provider holds values of any type
    """The value configured for a name; None if there is none.

    Args:
        name: of a setting.
        sections: where to look, the first that has the setting counts.
    """
    # not through dlt.config: dlt writes what is read there, secrets too, into the trace of the run
    for section in sections:
        for provider in settings_providers():
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
        for provider in settings_providers():
            if provider.name == ENVIRONMENT:
                continue
            place = f"[{'.'.join(section)}] of {provider.name}"
            values = read_section(provider, section, place)
            places |= {name: place for name in values if not isinstance(values[name], dict)}
    return places


def read_section(provider: ConfigProvider, section: Sequence[str], place: str) -> Mapping[str, Any]:
    """What a section holds; empty if it is absent.

    Raises:
        ConfigError: the section, or the one around it, is a value.
    """
    values: Any = {}
    for depth in range(1, len(section) + 1):
        values, _ = provider.get_value(section[depth - 1], AnyType, None, *section[: depth - 1])
        if values is None:
            return {}
        if not isinstance(values, dict):
            raise ConfigError(f"{place} must be a section with a line for each setting.")
    found: dict[str, Any] = values
    return found
