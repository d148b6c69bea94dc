"""Replaces rows straight from the files of a load package, in DuckDB and what speaks its SQL.

A merge reads the Parquet files themselves, deletes and inserts in one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from dlt.common.destination.client import LoadJob, RunnableLoadJob
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.impl.duckdb.duck import DuckDbClient

from ..conditions import Conditions
from ..package_files import ReplacesFromFiles, staged_files
from .errors import is_out_of_memory
from .resources import limited_resources

logger = logging.getLogger("mixpanel_source")

_MEMORY_FACTORS = (1, 4, 16)
"""How many times the usual memory rows get, until it suffices; within a share of the machine's.

How much they need is not known before DuckDB fails: it depends on the length of their texts, too.
"""


class ReplacingClient(ReplacesFromFiles, DuckDbClient):
    """A client whose merge is the one of this module, where a `Replacement` is declared."""

    def _create_replace_job(self, file_path: str, conditions: Conditions) -> LoadJob:
        return ReplaceJob(file_path, conditions)


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


def rows_of(files: Sequence[str]) -> str:
    """The rows of parquet files, as a table in SQL."""
    # files of one package have ever more columns: by name, and null where a file has none
    return f"read_parquet({[*files]}, union_by_name = true)"
