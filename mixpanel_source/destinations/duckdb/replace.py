"""Replaces rows straight from the files of a load package, in DuckDB and what speaks its SQL.

dlt's merge copies the files into a staging table, and from there into the table: in DuckDB the
second copy takes as long as the first. Here a merge reads the parquet files themselves, deletes and
inserts in one transaction, and needs no staging table. The table holds the same afterwards.

dlt loads a package with one job a file, and starts follow-up jobs when the last file of a table is
done. So each file's job does nothing but leave the file in place, and the follow-up job, a file
with the extension `.sql`, replaces the rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
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
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.job_impl import FollowupJobRequestImpl

from ..conditions import Conditions, conditions_of
from .errors import is_out_of_memory
from .resources import limited_resources

logger = logging.getLogger("mixpanel_source")

_MEMORY_FACTORS = (1, 4, 16)
"""How many times the usual memory rows get, until it suffices; within a share of the machine's.

How much they need is not known before DuckDB fails: it depends on the length of their texts, too.
"""


class ReplacingClient(DuckDbClient):
    """A client whose merge is the one of this module, where a `Replacement` is declared."""

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:
        """Whether files are copied to a staging table: not where they are replaced from."""
        table = self.prepare_load_table(table_name)
        return conditions_of(table) is None and super().should_load_data_to_staging_dataset(
            table_name
        )

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job that loads a file."""
        conditions = conditions_of(table)
        if conditions is None:
            return super().create_load_job(table, file_path, load_id, restore)
        if file_path.endswith(".sql"):
            return self._create_replace_job(file_path, conditions)
        return KeepFileJob(file_path)

    def _create_replace_job(self, file_path: str, conditions: Conditions) -> LoadJob:
        return ReplaceJob(file_path, conditions)

    def _create_merge_followup_jobs(
        self, table_chain: Sequence[PreparedTableSchema]
    ) -> list[FollowupJobRequest]:
        if conditions_of(table_chain[0]) is None:
            return super()._create_merge_followup_jobs(table_chain)
        return [_ReplaceRequest(table_chain[0])]


class KeepFileJob(RunnableLoadJob, HasFollowupJobs):
    """Completes a file without touching it; `ReplaceJob` reads the completed files."""

    def run(self) -> None:
        """Do nothing."""


class _ReplaceRequest(FollowupJobRequestImpl):
    """Has dlt run a `ReplaceJob` for a table."""

    def __init__(self, table: PreparedTableSchema) -> None:
        file_id = ParsedLoadJobFileName.new_file_id()
        name = ParsedLoadJobFileName(str(table["name"]), file_id, 0, "sql")
        super().__init__(name.file_name())
        self._save_text_file("")


class ReplaceJob(RunnableLoadJob):
    """Deletes and inserts rows of a table in one transaction, from all its files in the package."""

    def __init__(self, file_path: str, conditions: Conditions) -> None:
        """Prepare a job.

        Args:
            file_path: of the job itself, in the package.
            conditions: which rows are deleted and inserted.
        """
        super().__init__(file_path)
        self._conditions = conditions

    def run(self) -> None:
        """Replace the rows; with more memory if the usual limit is too low for them."""
        for memory_factor in _MEMORY_FACTORS:
            try:
                self._replace(memory_factor=memory_factor)
            except DatabaseException as error:
                if memory_factor == _MEMORY_FACTORS[-1] or not is_out_of_memory(error):
                    raise
            else:
                return
            logger.info("%s: DuckDB ran out of memory, and gets more.", self._load_table["name"])

    def _replace(self, *, memory_factor: int) -> None:
        job_client: Any = self._job_client
        client: Any = job_client.sql_client
        table: Any = self._load_table
        name = client.make_qualified_table_name(table["name"])
        files = staged_files(self._file_path, table["name"])
        scope = self._conditions.scope.format(table=name, staging_table=rows_of(files))
        with self._limited(files, memory_factor), client.begin_transaction():
            client.execute_sql(f"DELETE FROM {name} WHERE {scope}")  # noqa: S608 - our own names
            for rows in self._rows(files):
                client.execute_sql(f"INSERT INTO {name} BY NAME {rows}")

    def _limited(self, files: Sequence[str], memory_factor: int) -> AbstractContextManager[None]:
        """Limits what DuckDB takes while the rows of files are inserted."""
        job_client: Any = self._job_client
        table: Any = self._load_table
        return limited_resources(
            job_client.sql_client,
            files,
            columns=len(table["columns"]),
            memory_factor=memory_factor,
        )

    def _rows(self, files: Sequence[str]) -> Iterable[str]:
        """The queries whose rows are inserted, one after the other."""
        return [f"SELECT * FROM {rows_of(files)} WHERE {self._conditions.keep}"]  # noqa: S608 - our own names


def staged_files(job_file: str, table: str) -> list[str]:
    """The parquet files of a table in the package that is being loaded.

    Args:
        job_file: path of the file of a follow-up job of the package.
        table: name of the table.
    """
    # completed_jobs/ is beside started_jobs/, where the file of the job is
    completed = Path(job_file).parents[1] / PackageStorage.COMPLETED_JOBS_FOLDER
    return sorted(str(path) for path in completed.glob(f"{table}.*.parquet"))


def rows_of(files: Sequence[str]) -> str:
    """The rows of parquet files, as a table in SQL."""
    # files of one package have ever more columns: by name, and null where a file has none
    return f"read_parquet({[*files]}, union_by_name = true)"
