"""DuckDB as a destination that replaces rows straight from the files of a load package.

dlt's merge copies the files into a staging table, and from there into the table: in DuckDB the
second copy takes as long as the first. Here a merge reads the parquet files themselves, deletes and
inserts in one transaction, and needs no staging table. The table holds the same afterwards.

dlt loads a package with one job a file, and starts follow-up jobs when the last file of a table is
done. So each file's job does nothing but leave the file in place, and the follow-up job, a file
with the extension `.sql`, replaces the rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.client import (
    FollowupJobRequest,
    HasFollowupJobs,
    LoadJob,
    RunnableLoadJob,
)
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.schema import Schema
from dlt.common.schema.typing import TSchemaTables
from dlt.common.storages.load_package import PackageStorage, ParsedLoadJobFileName
from dlt.destinations import duckdb
from dlt.destinations.exceptions import DestinationConnectionError
from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.job_impl import FollowupJobRequestImpl
from duckdb import DuckDBPyConnection

from ...sql import quote_text
from ..replacement import Conditions, conditions_of
from .errors import is_busy
from .resources import limited_resources

MAIN = "main"
"""The schema that every database has."""
_OPEN_PATIENCE_SECONDS = 1.0
_OPEN_POLL_SECONDS = 0.02
_DATABASES = {MAIN, "system", "temp"}
"""Names that DuckDB gives no database of a file; the last two are databases of its own."""


class MergingDuckDb(duckdb):
    """DuckDB with the merge of this module, under dlt's own name.

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
    return f"{name}_db" if name.casefold() in _DATABASES else name


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


class _Client(DuckDbClient):
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

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:
        table = self.prepare_load_table(table_name)
        return conditions_of(table) is None and super().should_load_data_to_staging_dataset(
            table_name
        )

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        conditions = conditions_of(table)
        if conditions is None:
            return super().create_load_job(table, file_path, load_id, restore)
        if file_path.endswith(".sql"):
            return _ReplaceJob(file_path, conditions)
        return _KeepFileJob(file_path)

    def _create_merge_followup_jobs(
        self, table_chain: Sequence[PreparedTableSchema]
    ) -> list[FollowupJobRequest]:
        if conditions_of(table_chain[0]) is None:
            return super()._create_merge_followup_jobs(table_chain)
        return [_ReplaceRequest(table_chain[0])]


class _KeepFileJob(RunnableLoadJob, HasFollowupJobs):
    """Completes a file without touching it; `_ReplaceJob` reads the completed files."""

    def run(self) -> None:
        """Do nothing."""


class _ReplaceRequest(FollowupJobRequestImpl):
    """Has dlt run a `_ReplaceJob` for a table."""

    def __init__(self, table: PreparedTableSchema) -> None:
        file_id = ParsedLoadJobFileName.new_file_id()
        name = ParsedLoadJobFileName(str(table["name"]), file_id, 0, "sql")
        super().__init__(name.file_name())
        self._save_text_file("")


class _ReplaceJob(RunnableLoadJob):
    """Deletes and inserts rows of a table in one transaction, from all its files in the package."""

    def __init__(self, file_path: str, conditions: Conditions) -> None:
        super().__init__(file_path)
        self._conditions = conditions

    def run(self) -> None:
        """Replace the rows."""
        job_client: Any = self._job_client
        client: Any = job_client.sql_client
        table: Any = self._load_table
        name = client.make_qualified_table_name(table["name"])
        # files of one package have ever more columns: by name, and null where a file has none
        files = self._files(table["name"])
        staged = f"read_parquet({files}, union_by_name = true)"
        scope = self._conditions.scope.format(table=name, staging_table=staged)
        # a table has no order, and preserving that of the files doubles time and memory
        client.execute_sql("SET preserve_insertion_order = false")
        with limited_resources(client, files), client.begin_transaction():
            client.execute_sql(f"DELETE FROM {name} WHERE {scope}")  # noqa: S608 - our own names
            client.execute_sql(
                f"INSERT INTO {name} BY NAME SELECT * FROM {staged} WHERE {self._conditions.keep}"  # noqa: S608 - as above
            )

    def _files(self, table: str) -> list[str]:
        # completed_jobs/ is beside started_jobs/, where the file of this job is
        package = Path(self._file_path).parents[1]
        completed = package / PackageStorage.COMPLETED_JOBS_FOLDER
        return sorted(str(path) for path in completed.glob(f"{table}.*.parquet"))
