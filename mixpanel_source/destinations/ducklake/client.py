"""The client of DuckLake: merges as DuckDB's does, over connections that share an engine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import duckdb
from dlt.common.configuration import configspec
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.client import LoadJob
from dlt.common.destination.exceptions import DestinationException
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.normalizers.naming import NamingConvention
from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema
from dlt.destinations import ducklake
from dlt.destinations.impl.ducklake.configuration import (
    DuckLakeClientConfiguration,
    DuckLakeCredentials,
)
from dlt.destinations.impl.ducklake.ducklake import DuckLakeClient
from dlt.destinations.impl.ducklake.sql_client import DuckLakeSqlClient
from dlt.destinations.sql_client import raise_open_connection_error
from duckdb import DuckDBPyConnection

from ...sql import quote_text
from ..conditions import Conditions, conditions_of
from ..duckdb.replace import ReplacingClient
from ..missing_tables import CreatesMissingTables
from ..package_files import KeepFileJob
from .engine import EnginePool
from .extensions import needed_extensions
from .jobs import PARTITION, ReplaceDaysJob, StagedMergeJob

_CLEANUP = (
    "CALL ducklake_expire_snapshots({lake})",
    "CALL ducklake_cleanup_old_files({lake})",
)
"""Statements that delete the snapshots that the lake's option `expire_older_than` calls old, and
files that no snapshot needs. Without the option all snapshots stay: others may use the lake too.

Source: https://ducklake.select/docs/stable/duckdb/maintenance/expire_snapshots.
"""

logger = logging.getLogger("mixpanel_source")


class ExactDuckLake(ducklake):
    """DuckLake with the client of this module, under dlt's own name.

    With that name it finds the configuration of dlt's DuckLake, and a pipeline that it has loaded
    can be opened with dlt alone, where DuckDB finds the extensions itself.
    """

    @property
    def spec(self) -> type[DuckLakeClientConfiguration]:
        """The configuration."""
        return LakeConfiguration

    @property
    def destination_type(self) -> str:
        """The type that goes into the pipeline's state."""
        return "dlt.destinations.ducklake"

    @classmethod
    def adjust_capabilities(
        cls,
        caps: DestinationCapabilitiesContext,
        config: Any,  # noqa: ANN401 - as overridden
        naming: NamingConvention | None,
    ) -> DestinationCapabilitiesContext:
        """Load one file at a time: transactions at once would conflict in the catalog."""
        adjusted = super().adjust_capabilities(caps, config, naming)
        adjusted.loader_parallelism_strategy = "sequential"
        return adjusted

    @property
    def client_class(self) -> type[DuckLakeClient]:
        """The client that creates the load jobs."""
        return LakeClient


@configspec
class LakeConfiguration(DuckLakeClientConfiguration):
    """Configuration whose connections share an engine."""

    def on_resolved(self) -> None:
        """Set up the connections, once it is known where the lake is."""
        super().on_resolved()
        self.credentials.conn_pool = EnginePool(
            self.credentials,
            place=f"{self.credentials.catalog_location()} {self.credentials.storage_url}",
            extensions=needed_extensions(catalog_kind(self.credentials), self._storage_scheme),
        )

    @property
    def _storage_scheme(self) -> str:
        storage = self.credentials.storage
        return "" if storage.is_local_filesystem else str(storage.protocol)


def catalog_kind(credentials: DuckLakeCredentials) -> str:
    """The kind of database that holds the catalog: `sqlite`, `duckdb`, `postgres` or another."""
    kind = str(credentials.catalog.drivername)
    return "postgres" if kind.partition("+")[0] == "postgresql" else kind


def is_ambiguous(schema: str, lake: str) -> bool:
    """Whether DuckDB takes the name of a schema for that of a database."""
    return schema.casefold() in {lake.casefold(), "system", "temp"}


class LakeSqlClient(DuckLakeSqlClient):
    """dlt's client, which leaves it to the engine to detach the lake."""

    @raise_open_connection_error
    def open_connection(self) -> DuckDBPyConnection:
        """Open a connection, and attach the lake if it is not attached."""
        pool: Any = self.credentials.conn_pool
        with pool.engine.lock:
            return super().open_connection()

    def catalog_name(self, quote: bool = True, casefold: bool = True) -> str | None:  # noqa: ARG002 - as overridden
        """The lake, where DuckDB takes the name of the dataset for that of a database."""
        name = self.credentials.ducklake_name
        if not is_ambiguous(self.dataset_name, name):
            return None
        return self.capabilities.escape_identifier(name) if quote else name

    @property
    def attach_statement(self) -> str:
        """Without rows in the catalog, whose tables may not have as many columns as ours."""
        statement = super().attach_statement
        return statement.replace("(DATA_PATH ", "(DATA_INLINING_ROW_LIMIT 0, DATA_PATH ", 1)

    def close_connection(self) -> None:
        """Close the connection, and roll back what is not committed."""
        connection: DuckDBPyConnection | None = self._conn
        pool: Any = self.credentials.conn_pool
        if connection is None:
            return
        with suppress(duckdb.Error):  # there is no transaction
            connection.rollback()
        self._conn = None  # type: ignore[assignment] # as dlt does
        pool.return_conn(connection)


class LakeClient(CreatesMissingTables, ReplacingClient, DuckLakeClient):
    """dlt's client with the merge of DuckDB, and with files by day."""

    def __init__(
        self,
        schema: Schema,
        config: LakeConfiguration,
        capabilities: DestinationCapabilitiesContext,
    ) -> None:
        """Prepare a client; it connects to nothing."""
        DuckLakeClient.__init__(self, schema, config, capabilities)
        self.sql_client: DuckLakeSqlClient = LakeSqlClient(
            dataset_name=self.sql_client.dataset_name,
            staging_dataset_name=self.sql_client.staging_dataset_name,
            credentials=config.credentials,
            capabilities=capabilities,
            override_data_path=config.override_data_path,
            automatic_migration=config.automatic_migration,
        )

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job that loads a file."""
        if conditions_of(table) is None and self._is_staged(table):
            return (
                StagedMergeJob(file_path) if file_path.endswith(".sql") else KeepFileJob(file_path)
            )
        return super().create_load_job(table, file_path, load_id, restore)

    def _create_replace_job(self, file_path: str, conditions: Conditions) -> LoadJob:
        return ReplaceDaysJob(file_path, conditions)

    def complete_load(self, load_id: str) -> None:
        """Record that a package is loaded, then clean up as the lake is configured to."""
        super().complete_load(load_id)
        lake = quote_text(self.sql_client.credentials.ducklake_name)
        try:
            for call in _CLEANUP:
                self.sql_client.execute_sql(call.format(lake=lake))
        except DestinationException as error:
            logger.warning(
                "The package is loaded, but old snapshots of the lake could not be deleted: %s. "
                "The next load tries again.",
                type(error).__name__,
            )

    def _is_staged(self, table: PreparedTableSchema) -> bool:
        return self.should_load_data_to_staging_dataset(str(table["name"]))

    def _get_table_update_sql(
        self, table_name: str, new_columns: Sequence[TColumnSchema], generate_alter: bool
    ) -> list[str]:
        statements = super()._get_table_update_sql(table_name, new_columns, generate_alter)
        names = {column["name"] for column in new_columns}
        if not generate_alter and PARTITION in names and not self.in_staging_dataset_mode:
            table = self.sql_client.make_qualified_table_name(table_name)
            statements.append(f"ALTER TABLE {table} SET PARTITIONED BY ({PARTITION})")
        return statements
