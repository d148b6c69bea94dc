"""DuckDB as a destination that replaces days straight from the files of a load package.

dlt copies what it merges into a staging table, and from there into the table: in DuckDB the second
copy takes as long as the first. Here a merge reads the parquet files themselves, deletes and
inserts in one transaction, and there is no staging table. What is in the table afterwards is the
same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlt.common.destination.client import (
    FollowupJobRequest,
    HasFollowupJobs,
    LoadJob,
    RunnableLoadJob,
)
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.storages.load_package import PackageStorage, ParsedLoadJobFileName
from dlt.destinations import duckdb
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.job_impl import FollowupJobRequestImpl

from .. import constants
from .replacement import Conditions, replacement_of


class MergingDuckDb(duckdb):
    """DuckDB, under dlt's own name for it, so that its configuration and its state fit."""

    @property
    def destination_type(self) -> str:
        """What the pipeline's state says, for anyone who opens it with dlt alone."""
        return "dlt.destinations.duckdb"

    @property
    def client_class(self) -> type[DuckDbClient]:
        """The client that makes the jobs."""
        return _Client


class _Client(DuckDbClient):
    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:
        is_direct = replacement_of(self.prepare_load_table(table_name)) is not None
        return not is_direct and super().should_load_data_to_staging_dataset(table_name)

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        conditions = replacement_of(table)
        if conditions is None:
            return super().create_load_job(table, file_path, load_id, restore)
        if file_path.endswith(".sql"):
            return _ReplaceJob(file_path, conditions)
        return _KeepFileJob(file_path)

    def _create_merge_followup_jobs(
        self, table_chain: Sequence[PreparedTableSchema]
    ) -> list[FollowupJobRequest]:
        if replacement_of(table_chain[0]) is not None:
            return [_ReplaceRequest(table_chain[0])]
        return super()._create_merge_followup_jobs(table_chain)


class _KeepFileJob(RunnableLoadJob, HasFollowupJobs):
    """Leaves a file where it is: the replacement reads it once all of them are there."""

    def run(self) -> None:
        """Nothing is to be done."""


class _ReplaceRequest(FollowupJobRequestImpl):
    """Asks for the replacement, when the last file of a table is there."""

    def __init__(self, table: PreparedTableSchema) -> None:
        file_id = ParsedLoadJobFileName.new_file_id()
        name = ParsedLoadJobFileName(str(table["name"]), file_id, 0, "sql")
        super().__init__(name.file_name())
        self._save_text_file("")


class _ReplaceJob(RunnableLoadJob):
    """Deletes the rows that the files of a package replace, and inserts theirs, both or neither."""

    def __init__(self, file_path: str, conditions: Conditions) -> None:
        super().__init__(file_path)
        self._conditions = conditions

    def run(self) -> None:
        job_client: Any = self._job_client
        client: Any = job_client.sql_client
        table: Any = self._load_table
        name = client.make_qualified_table_name(table["name"])
        rows = f"read_parquet({self._files(table['name'])}, union_by_name = true)"
        scope = self._conditions.scope.format(table=name, staging_table=rows)
        # the order of rows means nothing in a table, and keeping it takes twice the time and memory
        client.execute_sql("SET preserve_insertion_order = false")
        if "memory_limit" not in (client.credentials.global_config or {}):
            client.execute_sql(f"SET memory_limit = '{constants.DUCKDB_MEMORY}'")
        with client.begin_transaction():
            client.execute_sql(f"DELETE FROM {name} WHERE {scope}")  # noqa: S608 - our own names
            client.execute_sql(
                f"INSERT INTO {name} BY NAME SELECT * FROM {rows} WHERE {self._conditions.keep}"  # noqa: S608
            )

    def _files(self, table: str) -> list[str]:
        package = Path(self._file_path).parents[1]
        completed = package / PackageStorage.COMPLETED_JOBS_FOLDER
        return sorted(str(path) for path in completed.glob(f"{table}.*.parquet"))
