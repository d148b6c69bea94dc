"""The reports that a user has declared: what to ask, and for which days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Report:
    """One declared report."""

    name: str
    """The user's, unique; in the column `report` of its rows."""
    table: str
    """The endpoint that it asks, which is the table that it is loaded to."""
    params: tuple[tuple[str, str], ...]
    """As they are sent, without the days."""
    since: date | None
    """First day of the first load."""
    days: int
    """How many of the newest days each load reads again."""


def parse_reports(name: str, value: object) -> tuple[Report, ...]:
    """A list of tables, or JSON text of one."""
    raise NotImplementedError(name, value)
