"""Selection of tables."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalog.tables import ALL_REPORTS, REPORT_TABLES, TABLE_NAMES
from ..errors import ConfigError
from .model import Config
from .parsers import nearest_hint
from .reports import reports_of


def check_tables(tables: Sequence[str]) -> None:
    """Refuse an empty selection, and tables that do not exist.

    Raises:
        ConfigError: naming the valid ones.
    """
    known = (*TABLE_NAMES, ALL_REPORTS)
    unknown = [name for name in tables if name not in known]
    if unknown or not tables:
        raise ConfigError(
            f"tables is {', '.join(tables) or 'empty'}; it must be a comma-separated list of "
            f"{', '.join(known)}"
            f"{nearest_hint(unknown, known).replace(' did', ': did') or '.'}"
        )


def select_tables(tables: Sequence[str], config: Config) -> tuple[str, ...]:
    """The selected tables without duplicates; `reports` stands for those with a declared report.

    Raises:
        ConfigError: a table does not exist, or needs a declared report and has none.
    """
    check_tables(tables)
    declared = [report.table for report in config.reports]
    if ALL_REPORTS in tables and not declared:
        raise ConfigError(
            "reports is not set, but tables contains it: declare reports in config.toml, "
            "[[sources.mixpanel.reports]], or leave it out of tables."
        )
    selected: list[str] = []
    for table in tables:
        if table in REPORT_TABLES:
            reports_of(config.reports, table)
        selected += declared if table == ALL_REPORTS else [table]
    return tuple(dict.fromkeys(selected))
