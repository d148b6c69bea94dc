"""Keeps events that Mixpanel no longer serves.

Mixpanel deletes events past its retention, and for many projects the database is the only archive.
So a settled day, one older than the look-back, that comes back empty or with markedly fewer events
than the table holds does not replace these: the rows stay, events that are new still arrive, and
the load says what was kept. `accept_deletions` turns this off, for deletions that are meant.

Source: https://docs.mixpanel.com/docs/pricing (data retention).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import NamedTuple

import dlt
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ..windows import settled_on

MIN_SERVED_SHARE = 0.9
"""A settled day with less than this share of the held events is kept."""


class KeptDay(NamedTuple):
    """A day whose rows stay although Mixpanel serves fewer events."""

    held: int
    """Rows in the table."""
    served: int
    """Events that Mixpanel serves now, without duplicates."""


def find_kept_days(
    held: Mapping[date, int], served: Mapping[date, int], *, read_on: date, lookback_days: int
) -> dict[date, KeptDay]:
    """The days whose rows must stay.

    Args:
        held: day -> rows in the table.
        served: day -> events served now; a day that is missing has none.
        read_on: date (UTC) of the request.
        lookback_days: days after which a day is settled.
    """
    return {
        day: KeptDay(number, served.get(day, 0))
        for day, number in held.items()
        if settled_on(day, lookback_days=lookback_days) <= read_on
        and served.get(day, 0) < number * MIN_SERVED_SHARE
    }


class HeldEvents:
    """What the table held before this load package, asked of the destination itself."""

    def __init__(self, table: str, column: str, days: Collection[date]) -> None:
        """Count the rows of some days.

        Args:
            table: name of the table.
            column: that says which day a row belongs to.
            days: to be loaded again; no query is made without any.
        """
        self.by_day: dict[date, int] = {}
        """Day -> rows, for days that have any."""
        self.qualified_name = ""
        """Of the table, as SQL of the destination; empty if there is no such table."""
        pipeline = dlt.current.pipeline()
        if days and _has_table(pipeline, table):
            self._count(pipeline, table, column, days)

    def _count(
        self, pipeline: dlt.Pipeline, table: str, column: str, days: Collection[date]
    ) -> None:
        with pipeline.sql_client() as client:
            name = client.make_qualified_table_name(table)
            query = (
                f"SELECT {column}, count(*) FROM {name} "  # noqa: S608 - our own names, and dates
                f"WHERE {column} >= CAST('{min(days)}' AS date) "
                f"AND {column} <= CAST('{max(days)}' AS date) "
                f"GROUP BY {column}"
            )
            try:
                rows = client.execute_sql(query) or ()
            except DatabaseUndefinedRelation:
                return
        self.qualified_name = name
        wanted = {*days}
        self.by_day = {day: number for day, number in rows if day in wanted}


def _has_table(pipeline: dlt.Pipeline, table: str) -> bool:
    """Whether the pipeline has loaded the table to a destination that replaces rows by SQL."""
    capabilities = pipeline.destination_client().capabilities
    if "delete-insert" not in (capabilities.supported_merge_strategies or ()):
        return False
    return any(table in schema.tables for schema in pipeline.schemas.values())
