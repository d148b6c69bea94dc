"""dlt's own settings, checked before the first request.

dlt looks at most of them when it needs them, which may be after an hour of requests.

Source: https://dlthub.com/docs/reference/performance.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from multiprocessing import get_all_start_methods
from typing import Final

from dlt.common.configuration.container import Container
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.providers import ConfigProvider
from dlt.common.configuration.resolve import resolve_configuration
from dlt.common.configuration.specs import BaseConfiguration, RuntimeConfiguration
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.data_writers.buffered import BufferedDataWriter
from dlt.common.exceptions import DltException
from dlt.common.schema.configuration import SchemaConfiguration
from dlt.common.schema.normalizers import import_normalizers, naming_from_reference
from dlt.extract.pipe_iterator import PipeIterator
from dlt.load.configuration import LoaderConfiguration
from dlt.normalize.configuration import NormalizeConfiguration

from .settings_errors import invalid_setting, settings_errors, settings_files

_SPECS: Final[Sequence[tuple[type[BaseConfiguration], tuple[str, ...]]]] = (
    (RuntimeConfiguration, ()),
    (PipeIterator.PipeIteratorConfiguration, ()),
    (NormalizeConfiguration, ("normalize",)),
    (LoaderConfiguration, ("load",)),
    (BufferedDataWriter.BufferedDataWriterConfiguration, ("normalize",)),
    (BufferedDataWriter.BufferedDataWriterConfiguration, ("sources", "mixpanel")),
    (SchemaConfiguration, ("sources", "mixpanel")),
)
"""What dlt resolves in the course of a run -> the sections where it looks first."""
_COUNTS: Final = ("workers", "max_parallel_items", "buffer_max_items")
"""Settings that must be 1 or more."""
_LOG_LEVELS: Final = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")


def settings_providers() -> Sequence[ConfigProvider]:
    """Where dlt looks settings up, in its order.

    Raises:
        ConfigError: a settings file or a setting of dlt's runtime is malformed.
    """
    with settings_errors():
        try:
            return Container()[PluggableRunContext].providers.providers
        except ConfigurationException:
            raise
        except ValueError:
            # what the logger refuses; then the providers are there all the same
            _check_runtime()
            raise


def check_dlt_settings() -> None:
    """Check the settings files and dlt's own settings of a run.

    Raises:
        ConfigError: one is malformed; the message names its place.
    """
    settings_providers()
    for _ in settings_files():
        pass
    for spec, sections in _SPECS:
        with settings_errors():
            # without the injected parts, which exist in a run only
            found = resolve_configuration(spec(), sections=sections, accept_partial=True)
        _check_values(found)


def _check_runtime() -> None:
    with settings_errors():
        _check_values(resolve_configuration(RuntimeConfiguration()))


def _check_values(found: BaseConfiguration) -> None:
    """Check what dlt does not check until it uses a value."""
    for name in _COUNTS:
        number = getattr(found, name, None)
        if number is not None and number < 1:
            raise invalid_setting(name, number, "1 or more")
    level = getattr(found, "log_level", None)
    if level is not None and not isinstance(logging.getLevelName(level), int):
        raise invalid_setting("log_level", level, f"one of {', '.join(_LOG_LEVELS)}")
    method = getattr(found, "start_method", None)
    if method is not None and method not in get_all_start_methods():
        valid = f"one of {', '.join(get_all_start_methods())}"
        raise invalid_setting("start_method", method, valid)
    if isinstance(found, SchemaConfiguration):
        _check_schema(found)


def _check_schema(found: SchemaConfiguration) -> None:
    naming, normalizer = found.naming, found.json_normalizer
    try:
        if naming is not None:
            naming_from_reference(naming)
    except (ImportError, ValueError, DltException) as error:
        valid = "a naming convention of dlt, such as snake_case"
        raise invalid_setting("naming", naming, valid) from error
    try:
        if normalizer is not None:
            import_normalizers({"json": {**normalizer}})  # type: ignore[typeddict-item]
    except (ImportError, AttributeError, TypeError, ValueError, DltException) as error:
        valid = "a table with a module of dlt"
        raise invalid_setting("json_normalizer", normalizer, valid) from error
