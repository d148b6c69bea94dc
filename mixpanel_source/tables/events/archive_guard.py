"""Keeps events that Mixpanel no longer serves.

Mixpanel deletes events past its retention, and for many projects the database is the only archive.
So a settled day, one older than the look-back, that comes back empty or with markedly fewer events
than the table holds does not replace these: the rows stay, events that are new still arrive, and
the load says what was kept. `accept_deletions` turns this off, for deletions that are meant.

Source: https://docs.mixpanel.com/docs/pricing (data retention).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import NamedTuple

import dlt
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ...config.model import Config
from ...decode.event_time import REACH_DAYS
from ...destinations.registry import destination_of
from ...destinations.replacement import Kept, Replacement
from ...windows import Window, settled_on
from ..load_log import KeptDay

logger = logging.getLogger("mixpanel_source")

MIN_SERVED_SHARE = 0.9
"""A settled day with less than this share of the held events is kept."""


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


class HeldRows(NamedTuple):
    """What a table holds of some days."""

    by_day: Mapping[date, int]
    """Day -> rows, for days that have any."""
    table: str = ""
    """Qualified name of the table, as SQL; empty if there is no such table."""


class ArchiveGuard:
    """Decides, for one load package, which days keep their rows."""

    def __init__(
        self,
        config: Config,
        replacement: Replacement,
        held: Mapping[date, int],
        *,
        table: str = "",
    ) -> None:
        """Start with no day kept.

        Args:
            config: the settings.
            replacement: what the package replaces where no day is kept.
            held: day -> rows in the table, for the guarded days that have any.
            table: qualified name of the table, as SQL.
        """
        self._config = config
        self._replacement = replacement
        self._held = held
        self._table = table
        self._kept: dict[date, KeptDay] = {}

    def check(
        self, window: Window, served: Mapping[date, int], *, read_on: date, has_strays: bool
    ) -> dict[date, KeptDay]:
        """The days of a window whose rows stay.

        Args:
            window: that was read.
            served: day -> events, without duplicates.
            read_on: date (UTC) of the request.
            has_strays: whether rows may be stored under another day than Mixpanel files them under,
                so that those of the oldest settled days may be of days that are not settled.
        """
        kept = find_kept_days(
            {day: self._held[day] for day in window.days if day in self._held},
            served,
            read_on=read_on,
            lookback_days=self._config.lookback_days + (REACH_DAYS if has_strays else 0),
        )
        for day, (held, events) in kept.items():
            logger.warning(
                "export %s: Mixpanel serves %s of the %s events held. The rows stay; if the "
                "deletion is meant, load the day again with accept_deletions.",
                day,
                f"{events:,}",
                f"{held:,}",
            )
        self._kept |= kept
        return kept

    def guards(self, window: Window) -> bool:
        """Whether the table holds rows of a day of the window that is guarded."""
        return any(day in self._held for day in window.days)

    def replaces_days(self, window: Window, served: Mapping[date, int]) -> bool:
        """Whether a window replaces or adds days other than those that are kept."""
        return any(
            day not in self._kept for day in window.days if day in served or day in self._held
        )

    @property
    def kept_days(self) -> list[date]:
        """The days kept so far, ascending."""
        return sorted(self._kept)

    @property
    def replacement(self) -> Replacement:
        """What the package replaces: days, other than those kept so far."""
        kept = Kept("event_date", self.kept_days, "event_key", self._table)
        return replace(self._replacement, kept=kept)


def settled_days(days: Iterable[date], today: date, config: Config) -> list[date]:
    """The days that are guarded: settled ones, unless deletions are accepted."""
    if config.accept_deletions:
        return []
    lookback_days = config.lookback_days
    return [day for day in days if settled_on(day, lookback_days=lookback_days) <= today]


def count_held(pipeline: dlt.Pipeline, table: str, column: str, days: Collection[date]) -> HeldRows:
    """Count the rows that the destination holds of some days.

    Args:
        pipeline: that has loaded the table.
        table: name of the table.
        column: which says what day a row belongs to.
        days: no query is made without any.
    """
    if not days or not has_table(pipeline, table):
        return HeldRows({})
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
            return HeldRows({})
    wanted = {*days}
    return HeldRows({day: number for day, number in rows if day in wanted}, name)


def has_table(pipeline: dlt.Pipeline, table: str) -> bool:
    """Whether the pipeline has loaded the table to a destination that replaces rows by SQL."""
    if destination_of(pipeline).appends:
        return False
    return any(table in schema.tables for schema in pipeline.schemas.values())
