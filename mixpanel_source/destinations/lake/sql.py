"""SQL over the tables of a lake, with a DuckDB in memory.

Tables are views there, made when a query names them. What changes a table is in `writes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from tempfile import TemporaryDirectory
from typing import Any, AnyStr

import duckdb
import pyarrow as pa
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.dataset import DBApiCursor
from dlt.destinations.exceptions import DatabaseTransientException
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.sql_client import raise_database_error, raise_open_connection_error
from dlt.destinations.typing import DBTransaction
from duckdb import DuckDBPyConnection
from typing_extensions import override

from ... import constants
from ...sql import quote_name, quote_text
from .arrow import PARTITION, Days
from .changes import STORED
from .statements import parse_change
from .tables import CommitConflictError, LakeTables
from .writes import StatementWriter

BATCH_ROWS = 20_000
"""Rows of a batch that is handed to a table; bounds memory."""
_COMMIT_ATTEMPTS = 5
_RESERVED = {"memory", "system", "temp"}
"""Schemas that DuckDB would take for databases."""


class LakeSqlClient(DuckDbSqlClient):
    """Runs SQL on the tables of a dataset.

    Args:
        dataset_name: of the schema that has them.
        staging_dataset_name: of a schema that is always empty.
        tables: of the dataset.
        capabilities: of the destination.
    """

    def __init__(
        self,
        dataset_name: str,
        staging_dataset_name: str,
        tables: LakeTables,
        capabilities: DestinationCapabilitiesContext,
    ) -> None:
        super().__init__(
            dataset_name, staging_dataset_name, DuckDbCredentials(":memory:"), capabilities
        )
        self.tables = tables
        self._shown: set[str] = set()
        self._writer = StatementWriter(self)
        self._spill: TemporaryDirectory[str] | None = None

    @raise_open_connection_error
    def open_connection(self) -> DuckDBPyConnection:
        """Open a database of its own, in which nothing is shown yet."""
        self.tables.refresh()
        self._shown = set()
        # what does not fit into memory is removed with the connection
        self._spill = TemporaryDirectory(prefix="mixpanel-lake-")
        self._conn = duckdb.connect(
            ":memory:",
            config={
                "temp_directory": self._spill.name,
                "memory_limit": f"{constants.DUCKDB_BYTES_MAX}B",
                "preserve_insertion_order": "false",
            },
        )
        self._conn.execute("SET TimeZone = 'UTC'")
        dataset = self.fully_qualified_dataset_name()
        self._conn.execute(f"CREATE SCHEMA IF NOT EXISTS {dataset}")
        self._conn.execute(f"SET search_path = '{dataset}'")
        return self._conn

    def close_connection(self) -> None:
        """Close the database."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None  # type: ignore[assignment] # as dlt has it
        self.tables.close()
        if self._spill is not None:
            self._spill.cleanup()
            self._spill = None

    @override
    def catalog_name(self, quote: bool = True, casefold: bool = True) -> str | None:
        """The database, where DuckDB takes the name of the dataset for that of a database."""
        if self.dataset_name.casefold() not in _RESERVED:
            return None
        return quote_name("memory") if quote else "memory"

    def has_dataset(self) -> bool:
        """Whether there is a directory for the dataset."""
        return self.tables.place.exists()

    def create_dataset(self) -> None:
        """Create the directory of the dataset."""
        self.tables.place.create()

    def drop_dataset(self) -> None:
        """Remove the directory of the dataset; there is none for staging."""
        if not self.is_staging_dataset_active:
            for name in self.tables.names():
                self.tables.drop(name)
            self.tables.place.remove()

    @contextmanager
    def begin_transaction(self) -> Iterator[DBTransaction]:
        """Nothing: each statement is a commit of its own, whatever happens to the next."""
        yield self

    def commit_transaction(self) -> None:
        """Nothing, see `begin_transaction`."""

    def rollback_transaction(self) -> None:
        """Nothing, see `begin_transaction`."""

    @override
    def execute_many(
        self, statements: Sequence[str], *args: Any, **kwargs: Any
    ) -> Sequence[Sequence[Any]] | None:
        """Run statements; all columns that are added to a table are one commit."""

        def altered(statement: str) -> str:
            change = parse_change(statement)
            return change.table if change and change.verb == "ALTER TABLE" else ""

        results = []
        for table, group in groupby(statements, altered):
            if table:
                self._writer.add_columns(table, [*group])
                continue
            for statement in group:
                result = self.execute_sql(statement, *args, **kwargs)
                if result is not None:
                    results.append(result)
        return results

    @override
    @contextmanager
    @raise_database_error
    def execute_query(self, query: AnyStr, *args: Any, **kwargs: Any) -> Iterator[DBApiCursor]:
        """Run a query, or a statement that changes a table."""
        if not isinstance(query, str):
            raise TypeError(type(query))
        change = parse_change(query)
        if change is not None:
            self._writer.run(change, args)
            yield self.cursor_impl(_NoRows())  # type: ignore[arg-type]
            return
        self.show_tables(query)
        with super().execute_query(query, *args, **kwargs) as cursor:
            yield cursor

    def show_tables(self, query: str) -> None:
        """Make a view of each table that a query may name, as the table is now."""
        self.tables.refresh()
        names = {*self.tables.names()}
        for name in self._shown - names:
            self._hide(name)
        text = query.casefold()
        is_about_schema = "information_schema" in text or "duckdb_" in text
        for name in names:
            if is_about_schema or name.casefold() in text:
                self._show(name)

    def _show(self, name: str) -> None:
        if self.tables.schema(name) is None:
            self._hide(name)
            return
        self._conn.register(f"lake_{name}", self.tables.scan(name))
        view = self.make_qualified_table_name(name)
        source = quote_name(f"lake_{name}")
        self._conn.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {source}")
        self._shown.add(name)

    def _hide(self, name: str) -> None:
        self._conn.execute(f"DROP VIEW IF EXISTS {self.make_qualified_table_name(name)}")
        self._shown.discard(name)

    def show_rows(self, name: str, days: Days) -> None:
        """Make the view `STORED` of a table, or of some of its days."""
        self._conn.register(STORED, self.tables.scan(name, days=days))

    def show_files(self, view: str, files: Sequence[str]) -> None:
        """Make a view of the rows of Parquet files, whose columns may differ."""
        listed = ", ".join(map(quote_text, files))
        self._conn.execute(
            f"CREATE OR REPLACE TEMP VIEW {view} AS "
            f"SELECT * FROM read_parquet([{listed}], union_by_name = true)"
        )

    def is_partitioned(self, name: str) -> bool:
        """Whether a table has a directory for each day."""
        schema = self.tables.schema(name)
        return schema is not None and PARTITION in schema.names

    def read(self, query: str) -> pa.RecordBatchReader:
        """The rows that a query selects, batch by batch."""
        self.show_tables(query)
        return self._conn.sql(query).to_arrow_reader(BATCH_ROWS)

    def columns(self, view: str) -> list[str]:
        """The columns of a view."""
        cursor = self._conn.execute(f"SELECT * FROM {view} LIMIT 0")
        return [str(column[0]) for column in cursor.description or ()]

    def has_any(self, query: str) -> bool:
        """Whether a query selects a row."""
        self.show_tables(query)
        return bool(self._conn.execute(f"SELECT 1 FROM ({query}) LIMIT 1").fetchall())

    def has_rows(self, view: str, condition: str) -> bool:
        """Whether a condition is true of a row of a view."""
        return self.has_any(f"SELECT 1 FROM {view} WHERE {condition}")

    def select_days(self, query: str) -> list[date]:
        """The days that a query selects."""
        self.show_tables(query)
        return [day for (day,) in self._conn.execute(query).fetchall()]

    def commit(self, change: Callable[[], None]) -> None:
        """Change a table, again if another writer was faster.

        Args:
            change: computes and writes its rows.
        """
        for attempt in range(1, _COMMIT_ATTEMPTS + 1):
            self.tables.refresh()
            try:
                change()
                break
            except CommitConflictError as error:
                if attempt == _COMMIT_ATTEMPTS:
                    raise DatabaseTransientException(error) from error


class _NoRows:
    """The result of a statement that selects nothing."""

    description = None

    def fetchall(self) -> list[Any]:
        return []

    def fetchone(self) -> None:
        return None
