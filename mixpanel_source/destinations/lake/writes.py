"""SQL statements that change a table of a lake.

DuckDB cannot write what it shows of a lake. So a statement runs on a copy of the table without
rows, or is turned into a query for the rows that remain; the result is one commit of the table.
This is for small changes, such as those of dlt's own tables. How loads write is in `jobs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from dlt.destinations.exceptions import DatabaseTerminalException, DatabaseUndefinedRelation

from .arrow import PARTITION, Days, plain_schema
from .changes import STORED
from .statements import Change, parse_change
from .tables import MAX_FILES

if TYPE_CHECKING:
    from .sql import LakeSqlClient

_SCRATCH = "scratch_table"


class StatementWriter:
    """Runs statements that change a table.

    Args:
        client: of the dataset.
    """

    def __init__(self, client: LakeSqlClient) -> None:
        self._client = client
        self._tables = client.tables

    def run(self, change: Change, args: Sequence[Any]) -> None:
        """Change a table.

        Args:
            change: the statement.
            args: its parameters.
        """
        self._tables.refresh()
        schema = self._tables.schema(change.table)
        if change.verb == "CREATE TABLE":
            self._create(change, exists=schema is not None)
        elif schema is None:
            if not change.if_exists:
                raise _undefined(change.table)
        elif change.verb == "DROP TABLE":
            self._tables.drop(change.table)
        elif change.verb == "ALTER TABLE":
            self.add_columns(change.table, [change.on(change.table)])
        elif change.verb == "DELETE FROM":
            self._client.commit(lambda: self._delete(change))
        else:
            self._insert(change, schema, args)

    def add_columns(self, table: str, statements: Sequence[str]) -> None:
        """Run statements that add columns to a table, as one commit."""
        schema = self._tables.schema(table)
        if schema is None:
            raise _undefined(table)
        self._make_scratch(schema)
        for statement in statements:
            change = parse_change(statement)
            if change is not None:
                self._execute(change.on(_SCRATCH))
        known, wanted = {*schema.names}, self._scratch_schema()
        if known - {*wanted.names}:
            raise DatabaseTerminalException(
                NotImplementedError(f"columns of {table} can be added, but not changed or dropped")
            )
        new = [field for field in wanted if field.name not in known]
        if new:
            self._tables.add_columns(table, new)

    def _create(self, change: Change, *, exists: bool) -> None:
        if exists:
            if change.if_exists:
                return
            raise DatabaseTerminalException(
                duckdb.CatalogException(f"Table with name {change.table} already exists!")
            )
        self._execute(f"CREATE OR REPLACE TEMP TABLE {_SCRATCH} {change.rest}")
        schema = self._scratch_schema()
        try:
            self._tables.create(change.table, schema)
        except FileExistsError as error:
            raise DatabaseTerminalException(error) from error

    def _insert(self, change: Change, schema: pa.Schema, args: Sequence[Any]) -> None:
        self._make_scratch(schema)
        self._client.show_tables(change.rest)
        self._execute(change.on(_SCRATCH).replace("%s", "?"), [*args])
        self._client.commit(lambda: self._append(change.table, f"SELECT * FROM {_SCRATCH}"))

    def _append(self, name: str, query: str) -> None:
        days: Days = []
        if not self._client.is_partitioned(name) and len(self._tables.files(name)) >= MAX_FILES:
            self._client.show_rows(name, None)
            query, days = f"SELECT * FROM {STORED} UNION ALL BY NAME {query}", None
        self._tables.write(name, self._client.read(query), days=days)

    def _delete(self, change: Change) -> None:
        client, name, condition = self._client, change.table, change.condition
        client.show_rows(name, None)
        days: Days = None
        if client.is_partitioned(name):
            query = f"SELECT DISTINCT {PARTITION} FROM {STORED} WHERE {condition}"
            days = client.select_days(query)
            client.show_rows(name, days)
        if not client.has_rows(STORED, condition):
            return
        rest = f"SELECT * FROM {STORED} WHERE ({condition}) IS NOT TRUE"
        self._tables.write(name, client.read(rest), days=days)
        # rows that are deleted are meant to be gone, from files of earlier versions too
        self._tables.purge(name)

    def _execute(self, statement: str, args: Sequence[Any] | None = None) -> None:
        self._client.native_connection.execute(statement, args)

    def _make_scratch(self, schema: pa.Schema) -> None:
        self._client.native_connection.register("scratch_schema", schema.empty_table())
        self._execute(f"CREATE OR REPLACE TEMP TABLE {_SCRATCH} AS SELECT * FROM scratch_schema")

    def _scratch_schema(self) -> pa.Schema:
        relation = self._client.native_connection.sql(f"SELECT * FROM {_SCRATCH} LIMIT 0")
        return plain_schema(relation.to_arrow_table().schema)


def _undefined(table: str) -> DatabaseUndefinedRelation:
    return DatabaseUndefinedRelation(
        duckdb.CatalogException(f"Table with name {table} does not exist!")
    )
