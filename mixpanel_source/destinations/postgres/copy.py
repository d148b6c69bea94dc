"""The client of PostgreSQL, which takes each file of a load package exactly once.

Where a `Replacement` is declared, the rows of all files are replaced in one transaction, see
`replace`. The files of other tables dlt copies into a staging dataset, and merges from there. A
merge can be repeated; a COPY cannot. If the connection is lost at its COMMIT, nobody knows whether
the rows are there, and dlt copies the file again. Here each COPY leaves a receipt in the same
transaction. A file that has one is there already, and is not copied again.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.client import LoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.schema import Schema
from dlt.common.storages.load_package import ParsedLoadJobFileName
from dlt.destinations.exceptions import DatabaseTerminalException
from dlt.destinations.impl.postgres.configuration import PostgresClientConfiguration
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob
from dlt.destinations.insert_job_client import InsertValuesLoadJob
from psycopg2.errors import UniqueViolation

from ...sql import quote_text
from ..conditions import Conditions
from ..missing_tables import CreatesMissingTables
from ..package_files import ReplacesFromFiles
from .destination import ENCODING
from .replace import ReplaceJob, replaceable

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

RECEIPTS_TABLE = "_mixpanel_receipts"
"""Table of the staging dataset, with a row for each file of the package that was copied."""


class CopyingClient(ReplacesFromFiles, CreatesMissingTables, PostgresClient):
    """dlt's client, with UTF-8 on the wire, and with jobs that take each file once."""

    def __init__(
        self,
        schema: Schema,
        config: PostgresClientConfiguration,
        capabilities: DestinationCapabilitiesContext,
    ) -> None:
        config.credentials.client_encoding = ENCODING
        super().__init__(schema, config, capabilities)

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Prepare the dataset, or the staging dataset, for a package."""
        super().initialize_storage(truncate_tables or ())
        if self.in_staging_dataset_mode:
            # staging tables are emptied here too, so receipts of earlier packages are void
            receipts = self.sql_client.make_qualified_table_name(RECEIPTS_TABLE)
            self.sql_client.execute_sql(
                f"CREATE TABLE IF NOT EXISTS {receipts} (file varchar PRIMARY KEY)"
            )
            self.sql_client.execute_sql(f"TRUNCATE {receipts}")

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job that loads a file."""
        if self._conditions(table) is None:
            file_format = ParsedLoadJobFileName.parse(file_path).file_format
            if file_format == "parquet":
                return _CopyJob(file_path)
            if file_format == "insert_values":
                return _InsertJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def _conditions(self, table: PreparedTableSchema) -> Conditions | None:
        return replaceable(table)

    def _create_replace_job(self, file_path: str, conditions: Conditions) -> LoadJob:
        return ReplaceJob(file_path, conditions)


class _InsertJob(InsertValuesLoadJob):
    """Inserts the rows of a file, such as the pipeline's state, once however often it is tried."""

    def run(self) -> None:
        try:
            super().run()
        except DatabaseTerminalException as error:
            # rows have random ids: if they are there already, an earlier try was committed
            is_retry = self.job_file_info().retry_count > 0
            if not (is_retry and isinstance(error.dbapi_exception, UniqueViolation)):
                raise


class _FileIsThereError(Exception):
    """The file of a job was copied by an earlier try."""


class _CopyJob(PostgresParquetCopyJob):
    """Copies a file to a table; to a staging table only if no earlier try did."""

    def run(self) -> None:
        with suppress(_FileIsThereError):
            super().run()

    def _connect(self) -> Connection:
        connection = super()._connect()
        client: Any = self._job_client
        if client.in_staging_dataset_mode and not self._leave_receipt(connection):
            connection.close()
            raise _FileIsThereError
        return connection

    def _leave_receipt(self, connection: Connection) -> bool:
        """Leave a receipt in the transaction of the copy; False if there is one already.

        If an earlier try is still being committed, this waits for the outcome.
        """
        receipts = self._job_client.sql_client.make_qualified_table_name(RECEIPTS_TABLE)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {receipts} VALUES ({quote_text(self.job_id())}) "  # noqa: S608 - quoted
                "ON CONFLICT DO NOTHING RETURNING file"
            )
            return cursor.fetchone() is not None
