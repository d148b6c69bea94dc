"""Parses the setting `history`: which tables keep earlier versions of their rows.

Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from ..catalog.tables import HISTORY_TABLES
from ..errors import ConfigError
from .parsers import Parser, names_of, nearest_hint

_NAMES: Final = names_of("table names")


def _history(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - any JSON or TOML value
    names = tuple(dict.fromkeys(_NAMES.convert(value)))
    unknown = [name for name in names if name not in HISTORY_TABLES]
    if unknown:
        raise ConfigError(
            f"history names {', '.join(unknown)}:{nearest_hint(unknown, HISTORY_TABLES)} the "
            f"tables that can keep a history are {', '.join(HISTORY_TABLES)}; cohort_members "
            "always does."
        )
    return names


parse_history: Final[Parser[tuple[str, ...]]] = replace(_NAMES, convert=_history)
"""Names of tables out of `HISTORY_TABLES`."""
