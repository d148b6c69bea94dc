"""What dlt raises about settings, as `ConfigError` with the place of the setting and valid values.

Values are never shown: they may be secrets.
"""

from __future__ import annotations

import json
import os
import re
import types
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, Union, get_args, get_origin

import tomlkit
from dlt.common.configuration.container import Container
from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
    InvalidNativeValue,
    LookupTrace,
    LookupTraces,
    ValueNotSecretException,
)
from dlt.common.configuration.providers.toml import TomlProviderReadException
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.typing import AnyType
from tomlkit.exceptions import TOMLKitError

from ..errors import ConfigError
from .toml_errors import check_toml, read_settings

ENVIRONMENT = "Environment Variables"
"""Name of dlt's provider for the environment, which cannot list what it holds."""
_NOUNS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "a table, or JSON text of an object",
}
_HEADER = re.compile(r"\s*(\[[^\]]+\])")


@contextmanager
def settings_errors() -> Iterator[None]:
    """Raise what dlt says of settings as a `ConfigError`.

    Raises:
        ConfigError: a settings file or a setting of dlt is malformed or missing.
    """
    try:
        yield
    except ConfigurationException as error:
        raise settings_error(error) from error


def settings_error(error: ConfigurationException) -> ConfigError:
    """The same with the place of the setting, what is wrong with it and what is valid."""
    if isinstance(error, TomlProviderReadException):
        return _file_error(error)
    if isinstance(error, ConfigValueCannotBeCoercedException):
        return invalid_setting(error.field_name, error.field_value, describe_hint(error.hint))
    if isinstance(error, ConfigFieldMissingException):
        return ConfigError(
            f"Settings are missing: set {', '.join(missing_keys(error))} in the environment, or "
            "the same keys in .dlt/secrets.toml."
        )
    if isinstance(error, ValueNotSecretException):
        key = error.key.rpartition(".")[2]
        return ConfigError(
            f"{error.key} is a secret, which {error.provider_name} must not hold. Move {key} to "
            ".dlt/secrets.toml, into the same section."
        )
    if isinstance(error, InvalidNativeValue):
        return ConfigError(
            f"The value of {'.'.join(error.embedded_sections) or 'a setting'} is of another form "
            f"than {error.spec.__name__} of dlt can have."
        )
    # only the type: the text may contain a value
    return ConfigError(
        f"A setting of dlt is not valid ({type(error).__name__}). Check the sections of dlt in "
        ".dlt/config.toml and .dlt/secrets.toml, and the environment."
    )


def invalid_setting(name: str, value: object, valid: str) -> ConfigError:
    """The error for a setting of dlt, which names each place where it has the value.

    Args:
        name: of the setting, without its section.
        value: that was found.
        valid: the valid values, as in "it must be a whole number".
    """
    places = [*_variables(name, value), *_lines(name, value)] or [f"The setting {name} of dlt"]
    return ConfigError(f"{' and '.join(places)} must be {valid}.")


def settings_files() -> Iterator[tuple[str, bytes]]:
    """Path and content of each settings file that exists.

    Raises:
        ConfigError: a file cannot be read.
    """
    for provider in Container()[PluggableRunContext].providers.providers:
        for path in provider.locations:
            if (content := read_settings(path)) is not None:
                yield os.path.normpath(path), content


def find_setting(name: str, sections: Sequence[str]) -> str:
    """The place of a setting, which dlt also looks up in fewer sections; empty if it has none."""
    for provider in Container()[PluggableRunContext].providers.providers:
        for depth in range(len(sections), -1, -1):
            value, key = provider.get_value(name, AnyType, None, *sections[:depth])
            if value is not None:
                return key if provider.name == ENVIRONMENT else f"{key} of {provider.name}"
    return ""


def missing_keys(error: ConfigFieldMissingException) -> list[str]:
    """The environment variables of the missing settings, the most specific one of each."""
    return [*dict.fromkeys(key for traces in error.traces.values() for key in _first_keys(traces))]


def describe_hint(hint: Any) -> str:  # noqa: ANN401 - any type hint
    """The values of a type hint, as in "it must be a whole number"."""
    origin = get_origin(hint)
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return " or ".join(dict.fromkeys(map(describe_hint, kinds)))
    return _NOUNS.get(origin or hint, "of another type")


def _file_error(error: TomlProviderReadException) -> ConfigError:
    try:
        for path in error.full_paths:
            check_toml(path)
    except ConfigError as reason:
        return reason
    return ConfigError(f"{error.file_name} cannot be read by dlt.")


def _first_keys(traces: Iterable[LookupTrace | LookupTraces]) -> Iterator[str]:
    for trace in traces:
        if isinstance(trace, LookupTraces):
            for inner in trace.traces.values():
                yield from _first_keys(inner)
        else:
            yield trace.key
            return


def _variables(name: str, value: object) -> Iterator[str]:
    """The environment variables that set it to the value."""
    for variable, text in os.environ.items():
        if _is_same(text, value) and variable.lower().rpartition("__")[2] == name.lower():
            yield variable


def _is_same(text: str, value: object) -> bool:
    """Whether dlt reads the value from this text."""
    if isinstance(value, (dict, list)):
        with suppress(ValueError):
            return bool(json.loads(text) == value)
    return text.strip() == str(value).strip()


def _lines(name: str, value: object) -> Iterator[str]:
    """The lines of settings files that set it to the value."""
    for path, content in settings_files():
        header = ""
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            if section := _HEADER.match(line):
                header = f" of {section[1]}"
            elif _sets(line, name, value):
                yield f"{path}, line {number}: {name}{header}"


def _sets(line: str, name: str, value: object) -> bool:
    """Whether a line of TOML sets `name`, or a dotted key that ends with it, to the value."""
    try:
        node: object = tomlkit.parse(line).unwrap()
    except (TOMLKitError, ValueError):
        return False
    while isinstance(node, dict) and len(node) == 1:
        [(key, node)] = node.items()
        if key == name:
            return str(node) == str(value)
    return False
