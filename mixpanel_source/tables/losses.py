"""What somebody removed from a dataset since it was loaded.

Tables and columns may be dropped or renamed by hand, rows deleted, a table restored from a backup.
dlt does not look: it remembers which tables and columns it has created, and we remember which days
we have loaded. So what is remembered is compared with what is there before a table is loaded, at
the cost of a query of the catalog. The load creates tables and columns again, and reads again what
Mixpanel still serves.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import dlt
from dlt.common.schema import Schema
from dlt.common.schema.typing import TTableSchemaColumns
from dlt.destinations.job_client_impl import SqlJobClientBase

from ..destinations.registry import destination_of
from ..errors import ConfigError
from ..windows import Window
from .load_log import COLUMNS_TABLE, LOADS_TABLE, SOURCE_NAME, completed_loads

logger = logging.getLogger("mixpanel_source")

DAY_COLUMN = "event_date"


@dataclass(frozen=True)
class Loss:
    """What is missing of a table, of the tables loaded with it, and of those that describe it."""

    table: str
    tables: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Table -> its missing columns; all of them if the table itself is missing or empty."""

    has_log: bool = True
    """Whether the load log is there, with all its columns."""

    is_described: bool = True
    """Whether `_mixpanel_columns` has rows of the table. A table without properties has none."""

    @property
    def is_table_lost(self) -> bool:
        """Whether the table, or one loaded with it, has to be loaded as a whole."""
        return any(not name.startswith("_") for name in self.tables)


def find_loss(pipeline: dlt.Pipeline, table: str) -> Loss | None:
    """Compare a table with what was loaded.

    Args:
        pipeline: with the schema and state of the destination.
        table: name of a resource.

    Returns:
        None if it was never loaded, or the destination is not a SQL database.

    Raises:
        ConfigError: a table cannot be mended; the message says what to do.
    """
    schema = _stored_schema(pipeline)
    if schema is None or table not in schema.tables:
        return None
    with destination_of(pipeline).connect() as job_client:
        if job_client is None:
            return None
        return _Comparison(pipeline, schema, job_client).find(table)


def find_lost_days(pipeline: dlt.Pipeline, loss: Loss) -> list[date]:
    """The days that were loaded with rows and have none now, or lack a column.

    In a table that cannot be read cheaply, only if it has no rows at all.
    """
    with destination_of(pipeline).connect() as job_client:
        client: Any = job_client.sql_client if job_client else None
        if client is None or not loss.has_log:
            return []
        loaded = _read_loaded_days(client, loss.table)
        if loss.is_table_lost:
            return sorted(day for day, window in loaded.items() if window.rows)
        if not destination_of(pipeline).scans_cheaply(client, loss.table):
            return []
        name = client.make_qualified_table_name(loss.table)
        held = {row[0] for row in client.execute_sql(f"SELECT DISTINCT {DAY_COLUMN} FROM {name}")}  # noqa: S608 - our own names
        return find_missing_days(loaded, held)


class _LoadedWindow(NamedTuple):
    """The window that a day was last loaded with."""

    window: Window
    rows: int


def find_missing_days(loaded: Mapping[date, _LoadedWindow], held: Collection[date]) -> list[date]:
    """The days of windows that had rows, and of which no day has any now.

    Args:
        loaded: day -> the window that it was last loaded with.
        held: days that have rows in the table.
    """
    days: dict[_LoadedWindow, list[date]] = defaultdict(list)
    for day, window in loaded.items():
        days[window].append(day)
    return sorted(
        day
        for window, of_window in days.items()
        if window.rows and not any(day in held for day in of_window)
        for day in of_window
    )


def check_dlt_tables(job_client: SqlJobClientBase) -> None:
    """Check that the tables are there in which dlt keeps what it has loaded.

    Raises:
        ConfigError: one is missing, though something was loaded.
    """
    schema = job_client.schema
    own = (schema.version_table_name, schema.loads_table_name, schema.state_table_name)
    stored = dict(job_client.get_storage_tables([LOADS_TABLE, *own]))
    missing = [name for name in own if not stored[name]]
    if missing and stored[LOADS_TABLE]:
        raise ConfigError(
            f"the dataset {job_client.sql_client.dataset_name} was loaded, but its table "
            f"{missing[0]} is missing, so it is not known what was loaded. Restore the table from "
            "a backup, drop the dataset, or choose another one."
        )


class _Comparison:
    """Compares tables with their stored schema.

    Args:
        pipeline: that has loaded them.
        schema: as the destination stores it.
        job_client: connected.
    """

    def __init__(
        self, pipeline: dlt.Pipeline, schema: Schema, job_client: SqlJobClientBase
    ) -> None:
        self._schema = schema
        self._job_client = job_client
        self._client: Any = job_client.sql_client
        self._restores = destination_of(pipeline).restores_schema

    def find(self, table: str) -> Loss:
        """What is missing of the tables of a resource, and of those that describe all tables."""
        names = [
            str(stored["name"])
            for stored in self._schema.data_tables(seen_data_only=True)
            if stored.get("resource") == table or str(stored["name"]).startswith("_")
        ]
        found = dict(self._job_client.get_storage_tables(names))
        lost = {name: missing for name in names if (missing := self._missing(name, found[name]))}
        has_log = LOADS_TABLE in names and LOADS_TABLE not in lost
        if has_log and table in names and table not in lost and self._is_emptied(table):
            lost[table] = [*found[table]]
        for name, columns in lost.items():
            logger.warning(
                "The table %s lacks columns that were loaded, and gets them again: %s.",
                name,
                ", ".join(columns) if found[name] else "all of them",
            )
        is_described = COLUMNS_TABLE in {*names} - {*lost} and self._is_described(table)
        return Loss(table, lost, has_log=has_log, is_described=is_described)

    def _missing(self, name: str, found: TTableSchemaColumns) -> list[str]:
        """The columns that a table lacks.

        Raises:
            ConfigError: they cannot be created again.
        """
        is_case_sensitive = self._job_client.capabilities.generates_case_sensitive_identifiers()
        missing = self._schema.get_new_table_columns(name, found, case_sensitive=is_case_sensitive)
        required = [str(column["name"]) for column in missing if not column.get("nullable", True)]
        names = [str(column["name"]) for column in missing]
        if names and not self._restores:
            raise self._refusal(name, names[0], "only a pipeline of open_pipeline() adds it again")
        if found and required and not self._is_empty(name):
            raise self._refusal(name, required[0], "no row can be without it")
        return names

    def _refusal(self, table: str, column: str, reason: str) -> ConfigError:
        name = self._client.make_qualified_table_name(table)
        return ConfigError(
            f"the table {table} lacks the column {column}, and {reason}. If it was renamed, rename "
            f"it back; otherwise drop the table, and the next sync loads it again: DROP TABLE "
            f"{name}"
        )

    def _is_emptied(self, table: str) -> bool:
        """Whether a table is empty that the last load left with rows."""
        if not self._is_empty(table):
            return False
        rows = self._client.execute_sql(
            f"SELECT rows FROM {completed_loads(self._client)} "  # noqa: S608 - our own names
            f"WHERE table_name = '{table}' ORDER BY fetched_at DESC LIMIT 1"
        )
        return bool(rows and rows[0][0])

    def _is_described(self, table: str) -> bool:
        """Whether `_mixpanel_columns` has rows of a table.

        It may have those of other tables only: `dlt pipeline ... drop` drops it together with the
        resource that created it.
        """
        name = self._client.make_qualified_table_name(COLUMNS_TABLE)
        query = f"SELECT 1 FROM {name} WHERE table_name = '{table}' LIMIT 1"  # noqa: S608 - our own names
        return bool(self._client.execute_sql(query))

    def _is_empty(self, table: str) -> bool:
        name = self._client.make_qualified_table_name(table)
        return not self._client.execute_sql(f"SELECT 1 FROM {name} LIMIT 1")  # noqa: S608 - our own name


def _read_loaded_days(client: Any, table: str) -> dict[date, _LoadedWindow]:  # noqa: ANN401 - any SQL client
    """Day -> the window that it was last loaded with."""
    rows = client.execute_sql(
        f"SELECT first_day, last_day, rows FROM {completed_loads(client)} "  # noqa: S608 - our own names
        f"WHERE table_name = '{table}' ORDER BY fetched_at"
    )
    loaded: dict[date, _LoadedWindow] = {}
    for first, last, number in rows:
        window = Window(first, last)
        loaded |= dict.fromkeys(window.days, _LoadedWindow(window, number))
    return loaded


def _stored_schema(pipeline: dlt.Pipeline) -> Schema | None:
    """The schema of the source; None if nothing was loaded, or the pipeline extracts only."""
    if getattr(pipeline, "destination", None) is None or SOURCE_NAME not in pipeline.schemas:
        return None
    return pipeline.schemas[SOURCE_NAME]
