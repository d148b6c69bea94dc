"""Selection of tables."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalog.tables import ALL_REPORTS, REPORT_TABLES, TABLE_NAMES
from ..errors import ConfigError
from .model import Config
from .parsers import names_of, nearest_hint
from .reports import reports_of

_parse_names = names_of("table names")


def check_tables(tables: Sequence[str]) -> tuple[str, ...]:
    """Refuse names of tables that do not exist.

    Args:
        tables: names, or text of a list of them.

    Returns:
        The names.

    Raises:
        ConfigError: a name is unknown, or there is none; lists the valid names.
    """
    tables = _parse_names("tables", tables)
    known = (*TABLE_NAMES, ALL_REPORTS)
    unknown = [name for name in tables if name not in known]
    if unknown or not tables:
        raise ConfigError(
            f"tables is {', '.join(tables) or 'empty'}; it must be comma-separated names from "
            f"{', '.join(known)}"
            f"{nearest_hint(unknown, known).replace(' did', ': did') or '.'}"
        )
    return tables


def select_tables(tables: Sequence[str], config: Config) -> tuple[str, ...]:
    """The tables, each once, with `reports` replaced by those that have a declared report.

    Raises:
        ConfigError: a table does not exist, or is a table of reports without a declared one.
    """
    tables = check_tables(tables)
    declared = [report.table for report in config.reports]
    if ALL_REPORTS in tables and not declared:
        raise ConfigError(
            "tables contains reports, but the setting reports is empty: declare reports in "
            "config.toml, as [[sources.mixpanel.reports]], or leave reports out of tables."
        )
    selected: list[str] = []
    for table in tables:
        if table in REPORT_TABLES:
            reports_of(config.reports, table)
        selected += declared if table == ALL_REPORTS else [table]
    return tuple(dict.fromkeys(selected))
