"""The client of DuckDB: the merge of `replace`, and names that DuckDB does not confuse."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.schema import Schema
from dlt.common.schema.typing import TSchemaTables
from dlt.destinations import duckdb
from dlt.destinations.exceptions import DestinationConnectionError
from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from duckdb import DuckDBPyConnection
from duckdb import __version__ as DUCKDB_VERSION  # noqa: N812 - it is a constant

from ...sql import quote_text
from .errors import is_busy
from .replace import ReplacingClient

MAIN = "main"
"""The schema that every database has."""
_OPEN_PATIENCE_SECONDS = 1.0
_OPEN_POLL_SECONDS = 0.02
_DATABASES = {MAIN, "system", "temp"}
"""Names that DuckDB gives no database of a file; the last two are databases of its own."""
_IGNORES_CASE = not DUCKDB_VERSION.startswith(("0.", "1."))
"""Whether it is DuckDB 2, which recognizes these names in any case."""


class MergingDuckDb(duckdb):
    """DuckDB with the merge of `replace`, under dlt's own name.

    With that name it finds the configuration of dlt's DuckDB, and a pipeline that it has loaded can
    be opened with dlt alone.
    """

    @property
    def destination_type(self) -> str:
        """The type that goes into the pipeline's state."""
        return "dlt.destinations.duckdb"

    @staticmethod
    def comment(dataset: str) -> str:
        """The comment that names the dataset in the schema `main`."""
        return f"dataset {dataset.casefold()}"

    @property
    def client_class(self) -> type[DuckDbClient]:
        """The client that creates the load jobs."""
        return _Client


def database_name(file: Path) -> str:
    """The name that DuckDB gives the database of a file, to which a link may lead."""
    name = next((part for part in file.resolve().name.split(".") if part), "")
    known = name.casefold() if _IGNORES_CASE else name
    return f"{name}_db" if known in _DATABASES else name


def is_unusable(file: Path) -> bool:
    """Whether DuckDB takes the database of a file for one of its own, as DuckDB 1 does."""
    return database_name(file).casefold() in _DATABASES - {MAIN}


def is_ambiguous(schema: str, file: Path) -> bool:
    """Whether DuckDB takes the name of a schema for that of a database."""
    names = {database_name(file).casefold(), *_DATABASES} - {MAIN}
    return schema.casefold() in names


class _SqlClient(DuckDbSqlClient):
    def open_connection(self) -> DuckDBPyConnection:
        """Open the file, once another process that has it open for a moment has closed it.

        Every command opens it for some milliseconds to find the dataset.
        """
        give_up_at = time.monotonic() + _OPEN_PATIENCE_SECONDS
        while True:
            try:
                return super().open_connection()
            except DestinationConnectionError as error:
                if not is_busy(error) or time.monotonic() > give_up_at:
                    raise
            time.sleep(_OPEN_POLL_SECONDS)  # noqa: TID251 - dlt calls this, without our clock

    def catalog_name(self, quote: bool = True, casefold: bool = True) -> str | None:  # noqa: ARG002 - as overridden
        """The database, where DuckDB takes the name of the dataset for that of a database."""
        file = Path(self.credentials.database)
        if not is_ambiguous(self.dataset_name, file):
            return None
        name = database_name(file)
        return self.capabilities.escape_identifier(name) if quote else name


class _Client(ReplacingClient):
    def __init__(
        self,
        schema: Schema,
        config: DuckDbClientConfiguration,
        capabilities: DestinationCapabilitiesContext,
    ) -> None:
        super().__init__(schema, config, capabilities)
        names = (self.sql_client.dataset_name, self.sql_client.staging_dataset_name)
        self.sql_client = _SqlClient(*names, config.credentials, capabilities)

    def update_stored_schema(
        self,
        only_tables: Iterable[str] = None,  # type: ignore[assignment] # noqa: RUF013 - as overridden
        expected_update: TSchemaTables = None,  # type: ignore[assignment]
        force: bool = False,  # noqa: ARG002 - always, see below
    ) -> TSchemaTables | None:
        # creates what is missing; dlt would look only if the schema has changed
        update = super().update_stored_schema(only_tables, expected_update, force=True)
        if self.sql_client.dataset_name == MAIN:
            self._name_dataset()
        return update

    def _name_dataset(self) -> None:
        """Store which dataset `main` is, because the file may be renamed later."""
        table = self.schema.version_table_name
        rows = self.sql_client.execute_sql(
            "SELECT current_database() FROM duckdb_tables() WHERE schema_name = %s "
            "AND database_name = current_database() AND table_name = %s AND comment IS NULL",
            MAIN,
            table,
        )
        for (database,) in rows or ():
            name = self.sql_client.make_qualified_table_name(table)
            comment = quote_text(MergingDuckDb.comment(database))
            self.sql_client.execute_sql(f"COMMENT ON TABLE {name} IS {comment}")
