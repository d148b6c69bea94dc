"""Replaces rows straight from the files of a load package, in one transaction.

`COPY` goes into the table itself. dlt's merge would write each row twice: into a staging table, and
from there into the table. The transaction can be repeated: if the connection is lost at its COMMIT
and nobody knows whether the rows are there, the next try deletes and inserts them again.

Source: https://www.postgresql.org/docs/current/explicit-locking.html,
https://arrow.apache.org/adbc/current/python/api/adbc_driver_manager.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dlt.common.destination.client import RunnableLoadJob
from dlt.destinations.impl.postgres.postgres import PostgresParquetCopyJob

from ..conditions import Conditions, conditions_of
from ..package_files import staged_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adbc_driver_manager.dbapi import Connection, Cursor

_KEEP = re.compile(r"(?P<column>\w+) (?P<comparison>IS NOT NULL|<> ''|> 0)")
_COMPARISONS: Mapping[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    "IS NOT NULL": pc.is_valid,
    "<> ''": lambda values: pc.not_equal(values, ""),
    "> 0": lambda values: pc.greater(values, 0),
}
"""What `Replacement` compares rows with, to tell them from tombstones."""
_SCOPE_TABLE = "_mixpanel_scope_{table}"
"""Table of the dataset, for the values that select rows to delete; it never outlives the
transaction. A temporary table would need a privilege that not every role has."""
_BATCH_ROWS = 20_000


def replaceable(table: Mapping[str, Any]) -> Conditions | None:
    """The conditions of a table whose rows `ReplaceJob` replaces.

    Args:
        table: a table schema that dlt has prepared for a load.

    Returns:
        None where dlt has to merge: by a key, with a history, or with rows that must stay.
    """
    conditions = conditions_of(table)
    if conditions is None or _KEEP.fullmatch(conditions.keep) is None:
        return None
    return conditions


class ReplaceJob(RunnableLoadJob):
    """Deletes and copies rows of a table in one transaction, from all its files in the package.

    It shares how it connects with dlt's job for a file, and must not be one: for each of these that
    is completed, dlt starts a follow-up job.
    """

    _connect: Callable[[], Connection] = PostgresParquetCopyJob._connect  # type: ignore[assignment]

    def __init__(self, file_path: str, conditions: Conditions) -> None:
        """Prepare a job.

        Args:
            file_path: of the job itself, in the package.
            conditions: which rows are deleted and inserted.
        """
        super().__init__(file_path)
        self._conditions = conditions

    def run(self) -> None:
        """Replace the rows."""
        files = staged_files(self._file_path, self.load_table_name)
        client: Any = self._job_client
        table = client.sql_client.make_qualified_table_name(self.load_table_name)
        with self._connect() as connection, connection.cursor() as cursor:
            # waits for the transaction of an earlier try, which may not have ended yet
            cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            self._delete(cursor, table, files)
            for file in files:
                self._copy(cursor, file)
            connection.commit()

    def _delete(self, cursor: Cursor, table: str, files: Sequence[str]) -> None:
        """Delete the rows that the files replace."""
        scope = self._conditions.scope
        load_table: Any = self._load_table
        named = {*re.findall(r"\w+", scope.format(table="", staging_table=""))}
        columns = [name for name in load_table["columns"] if name in named]
        if not columns:
            cursor.execute(f"DELETE FROM {table} WHERE {scope}")  # noqa: S608 - our own names
            return
        name = _SCOPE_TABLE.format(table=self.load_table_name)
        client: Any = self._job_client
        qualified = client.sql_client.make_qualified_table_name(name)
        cursor.execute(
            f"CREATE TABLE {qualified} AS SELECT {', '.join(columns)} FROM {table} LIMIT 0"  # noqa: S608 - as above
        )
        values = pa.concat_tables(_iter_distinct(files, columns), promote_options="default")
        distinct = values.group_by(columns).aggregate([])
        cursor.adbc_ingest(name, distinct, "append", db_schema_name=self._schema_name)
        condition = scope.format(table=table, staging_table=qualified)
        cursor.execute(f"DELETE FROM {table} WHERE {condition}")  # noqa: S608 - as above
        cursor.execute(f"DROP TABLE {qualified}")

    @property
    def _schema_name(self) -> str:
        client: Any = self._job_client
        name: str = client.sql_client.escape_column_name(
            client.sql_client.dataset_name, quote=False, casefold=True
        )
        return name

    def _copy(self, cursor: Cursor, file: str) -> None:
        """Insert the rows of a file, without its tombstones."""
        rows = pq.ParquetFile(file)
        match = _KEEP.fullmatch(self._conditions.keep)
        assert match is not None  # noqa: S101 - see `replaceable`
        is_row = _COMPARISONS[match["comparison"]]

        def iter_batches() -> Iterator[pa.RecordBatch]:
            for batch in rows.iter_batches(_BATCH_ROWS):
                yield batch.filter(is_row(batch[match["column"]]))

        reader = pa.RecordBatchReader.from_batches(rows.schema_arrow, iter_batches())
        cursor.adbc_ingest(self.load_table_name, reader, "append", db_schema_name=self._schema_name)


def _iter_distinct(files: Sequence[str], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yields the combinations of values that each file has in some columns."""
    for file in files:
        yield pq.read_table(file, columns=[*columns]).group_by([*columns]).aggregate([])
