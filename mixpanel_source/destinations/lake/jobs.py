"""The load jobs of a lake: one commit for all files of a table in a load package."""

from __future__ import annotations

from datetime import timezone
from pathlib import Path
from typing import Any, NamedTuple

from dlt.common.destination.client import RunnableLoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.storages.load_package import load_package_state
from dlt.common.time import ensure_datetime_in_tz

from ...sql import quote_name, quote_text
from ..conditions import Conditions
from ..package_files import TableRequest, staged_files
from .arrow import PARTITION, Days
from .changes import STAGED, STORED, History, history_of, replaced_rows, selects_days
from .sql import LakeSqlClient
from .tables import MAX_FILES


class CommitRequest(TableRequest):
    """Has dlt run a `CommitJob` for a table."""

    def __init__(self, table: PreparedTableSchema) -> None:
        # only the loader knows the package; the job gets the time from which its rows are valid
        began: Any = (
            table.get("x-boundary-timestamp") or load_package_state()["state"]["created_at"]
        )
        super().__init__(table, ensure_datetime_in_tz(began, timezone.utc).isoformat())


class _Change(NamedTuple):
    """What a table holds after a load."""

    query: str
    """Selects the rows to write."""
    days: Days
    """Whose rows they replace."""


class CommitJob(RunnableLoadJob):
    """Deletes and inserts rows of a table in one commit, from all its files in the package."""

    def run(self) -> None:
        """Commit, and again if another writer was faster."""
        job_client: Any = self._job_client
        client: LakeSqlClient = job_client.sql_client
        table: Any = self._load_table
        client.show_files(STAGED, staged_files(self._file_path, table["name"]))
        client.commit(lambda: self._commit(client, table))

    def _commit(self, client: LakeSqlClient, table: Any) -> None:  # noqa: ANN401 - a table schema of dlt
        name = table["name"]
        change = self._find_change(client, table)
        if change is not None:
            rows = client.read(change.query)
            client.tables.write(name, rows, days=change.days, load_id=self._load_id)
            client.tables.tidy(name)

    def _find_change(self, client: LakeSqlClient, table: Any) -> _Change | None:  # noqa: ANN401 - as above
        name = table["name"]
        history = history_of(table, name=client.make_qualified_table_name(name))
        if history is not None:
            return self._find_closed(client, name, history)
        conditions = replaced_rows(table)
        if conditions is not None:
            return _find_replaced(client, name, conditions)
        # dlt repeats a job whose connection was lost, though its commit may have been stored
        if client.tables.last_load_id(name) == self._load_id:
            return None
        return _insert(client, name, f"SELECT * FROM {STAGED}")

    def _find_closed(self, client: LakeSqlClient, name: str, history: History) -> _Change | None:
        begins, ends, is_gone, is_new = history
        client.show_rows(name, None)
        if not client.has_rows(STORED, is_gone) and not client.has_rows(STAGED, is_new):
            return None
        at = f"CAST({quote_text(Path(self._file_path).read_text())} AS timestamptz)"
        # whether the files have the two columns depends on the version of dlt
        columns = [c for c in map(quote_name, client.columns(STAGED)) if c not in {begins, ends}]
        return _Change(
            f"SELECT * REPLACE (CASE WHEN {is_gone} THEN {at} ELSE {ends} END AS {ends}) "
            f"FROM {STORED} UNION ALL BY NAME "
            f"SELECT {', '.join(columns)}, {at} AS {begins} FROM {STAGED} WHERE {is_new}",
            None,
        )


def _find_replaced(client: LakeSqlClient, name: str, conditions: Conditions) -> _Change | None:
    table = client.make_qualified_table_name(name)
    scope = f"({conditions.scope.format(table=table, staging_table=STAGED)})"
    inserted = f"SELECT * FROM {STAGED} WHERE {conditions.keep}"
    days = _find_days(client, name, scope, staged_only=selects_days(conditions))
    client.show_rows(name, days)
    if not client.has_rows(STORED, scope):
        return _insert(client, name, inserted)
    if client.has_rows(STORED, f"{scope} IS NOT TRUE"):
        inserted = (
            f"SELECT * FROM {STORED} WHERE {scope} IS NOT TRUE UNION ALL BY NAME ({inserted})"
        )
    return _Change(inserted, days)


def _find_days(client: LakeSqlClient, name: str, scope: str, *, staged_only: bool) -> Days:
    """The days of a partitioned table that a load changes; None if it has no days."""
    if not client.is_partitioned(name):
        return None
    query = f"SELECT DISTINCT {PARTITION} FROM {STAGED}"
    if not staged_only:
        client.show_rows(name, None)
        query += f" UNION SELECT {PARTITION} FROM {STORED} WHERE {scope}"
    return client.select_days(query)


def _insert(client: LakeSqlClient, name: str, inserted: str) -> _Change | None:
    """Add rows; to a table of too many files by writing all of its rows anew."""
    if not client.has_any(inserted):
        return None
    if client.is_partitioned(name) or len(client.tables.files(name)) < MAX_FILES:
        return _Change(inserted, [])
    client.show_rows(name, None)
    return _Change(f"SELECT * FROM {STORED} UNION ALL BY NAME ({inserted})", None)
