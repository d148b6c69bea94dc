"""Stores settings in `.dlt/secrets.toml`, and secrets in the keyring of the system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tomlkit
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from ..config.providers import KEYRING_SERVICE, SECTIONS
from ..config.toml_errors import check_toml, read_settings
from ..errors import ConfigError
from ..files import replace_durably

NAME = "secrets.toml"
_HOW_TO_FIX = (
    "Give your user the right to write there, or run the command in another directory; a script "
    "can set SOURCES__MIXPANEL__... in the environment instead"
)


def secrets_path() -> Path:
    """The file that dlt reads secrets from."""
    return Path(Container()[PluggableRunContext].context.settings_dir, NAME).absolute()


def check_writable(path: Path) -> None:
    """Check that a settings file can be replaced, before somebody fills it in.

    Raises:
        ConfigError: it is a directory, cannot be read or written, or is not valid TOML.
    """
    check_toml(str(path))
    directory = path.resolve().parent
    there = next(parent for parent in (directory, *directory.parents) if parent.exists())
    if not there.is_dir():
        raise ConfigError(f"{there} is a file, but must be a directory. Move it away.")
    if not os.access(there, os.W_OK):
        raise ConfigError(f"{path} cannot be written: permission denied. {_HOW_TO_FIX}.")


def stored_settings(path: Path) -> dict[str, Any]:
    """The settings of ours that a file holds."""
    section: Any = _parse(path)
    for name in SECTIONS[0]:
        section = section.get(name, {})
        if not isinstance(section, dict):
            raise ConfigError(
                f"{path}: {name} must be a section, [{'.'.join(SECTIONS[0])}], with a line for "
                "each setting."
            )
    return dict(section)


def write_settings(path: Path, values: Mapping[str, str | int | None]) -> None:
    """Set settings in a file and keep everything else in it, comments too.

    The file is replaced at once or not at all, and only its owner may read it.

    Args:
        path: of the file, which need not exist.
        values: setting -> value; None removes it.

    Raises:
        ConfigError: it cannot be read or written, or is not valid TOML.
    """
    stored_settings(path)
    document = _parse(path)
    section: Any = document
    for number, name in enumerate(SECTIONS[0], 1):
        if name not in section:
            section[name] = tomlkit.table(is_super_table=number < len(SECTIONS[0]))
        section = section[name]
    for name, value in values.items():
        if value is None:
            section.pop(name, None)
        else:
            section[name] = value
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # where the file is a link, what it leads to is replaced
        replace_durably(path.resolve(), tomlkit.dumps(document).encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}. {_HOW_TO_FIX}.") from error
    Container()[PluggableRunContext].reload_providers()


def check_keyring() -> None:
    """Check that the package for the keyring is installed.

    Raises:
        ConfigError: it is not.
    """
    if find_spec("keyring") is None:
        raise ConfigError(
            "The keyring needs a package that is not installed: pip install "
            "'mixpanel-source[keyring]'."
        )


def store_secret(username: str, secret: str) -> None:
    """Store the secret of an account in the keyring of the system.

    Raises:
        ConfigError: the system has none.
    """
    import keyring  # noqa: PLC0415 - an extra, and slow to import
    from keyring.errors import KeyringError  # noqa: PLC0415 - as above

    try:
        keyring.set_password(KEYRING_SERVICE, username, secret)
    except KeyringError as error:
        raise ConfigError(
            f"This system has no keyring that can be used ({type(error).__name__}). Leave out "
            "--keyring to store the secret in .dlt/secrets.toml, which only you can read."
        ) from None


def _parse(path: Path) -> tomlkit.TOMLDocument:
    check_toml(str(path))
    return tomlkit.parse(read_settings(str(path)) or b"")
