"""The load jobs of DuckLake, which insert as much at a time as fits into memory.

DuckDB writes the Parquet files of a lake itself. It holds a row group of each file in memory, and
up to half a million rows of each partition, whatever its memory limit is: a wide table needs
gigabytes. So row groups are limited, and days are inserted one after the other.

Source: https://ducklake.select/docs/stable/duckdb/usage/configuration, and measurements with a
million events of 156 columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any

from dlt.destinations.job_client_impl import SqlLoadJob

from ...sql import quote_text
from ..duckdb.replace import ReplaceJob, rows_of
from ..duckdb.resources import limited_resources
from ..package_files import staged_files

PARTITION = "event_date"
"""Column by whose values the rows of a table are kept in files of their own."""
_ROW_GROUP = "parquet_row_group_size"
"""Option of a table: rows of a row group. The option in bytes would be a burden for others who
write to the table, because DuckDB refuses it unless `preserve_insertion_order` is off."""
_ROW_GROUP_MAX = 122_880
"""Rows of a row group by default."""
_VECTOR_ROWS = 2_048
"""Rows that DuckDB handles at a time."""
_VALUES = 2_500_000
"""In a row group, and in the rows of a partition that are not written yet."""
_MEMORY_FACTOR = 2
"""Memory in relation to that for a table in a file of DuckDB."""


class ReplaceDaysJob(ReplaceJob):
    """The replacement of days, which inserts a few thousand rows, or one day, at a time."""

    def _limited(self, files: Sequence[str], memory_factor: int) -> AbstractContextManager[None]:
        job_client: Any = self._job_client
        return _limited(job_client.sql_client, self._load_table, files, memory_factor)

    def _rows(self, files: Sequence[str]) -> Iterator[str]:
        (all_rows,) = super()._rows(files)
        table: Any = self._load_table
        if PARTITION not in table["columns"]:
            yield all_rows
            return
        job_client: Any = self._job_client
        days = job_client.sql_client.execute_sql(
            f"SELECT {PARTITION}, count(*) FROM ({all_rows}) GROUP BY 1 ORDER BY 1"  # noqa: S608 - our own names
        )
        for first, last in group_days(days or (), rows_max=row_group_rows(len(table["columns"]))):
            yield f"{all_rows} AND {PARTITION} BETWEEN '{first}' AND '{last}'"


class StagedMergeJob(SqlLoadJob):
    """dlt's merge, from a staging table that it fills itself.

    If the connection to the catalog is lost at a COMMIT, nobody knows whether the rows are there,
    and dlt tries again. Filled by the jobs of its files, the staging table would have them twice.
    """

    def run(self) -> None:
        """Fill the staging table, and merge."""
        client: Any = self._job_client.sql_client
        table = self._job_client.schema.get_table(self.load_table_name)
        files = staged_files(self._file_path, self.load_table_name)
        with client.with_staging_dataset():
            name = client.make_qualified_table_name(self.load_table_name)
            _limit_row_groups(client, table)
        with _limited(client, table, files):
            with client.begin_transaction():
                client.execute_sql(f"DELETE FROM {name}")  # noqa: S608 - our own names
                client.execute_sql(f"INSERT INTO {name} BY NAME SELECT * FROM {rows_of(files)}")  # noqa: S608 - as above
            super().run()


def row_group_rows(columns: int) -> int:
    """How many rows of a table with so many columns DuckDB may hold in memory for a file."""
    rows = _VALUES // columns // _VECTOR_ROWS * _VECTOR_ROWS
    return min(_ROW_GROUP_MAX, max(_VECTOR_ROWS, rows))


def group_days(days: Iterable[tuple[date, int]], *, rows_max: int) -> Iterator[tuple[date, date]]:
    """Ranges of days that are inserted together: one day, or as many as have so few rows.

    Args:
        days: each with its number of rows, in ascending order.
        rows_max: maximum rows of several days.

    Yields:
        The first and the last day of a range.
    """
    group: list[date] = []
    total = 0
    for day, rows in days:
        if group and total + rows > rows_max:
            yield group[0], group[-1]
            group, total = [], 0
        group.append(day)
        total += rows
    if group:
        yield group[0], group[-1]


def _limited(
    client: Any,  # noqa: ANN401 - dlt's
    table: Any,  # noqa: ANN401 - as above
    files: Sequence[str],
    memory_factor: int = 1,
) -> AbstractContextManager[None]:
    """Limits what DuckDB takes while the rows of files are inserted into a table."""
    _limit_row_groups(client, table)
    columns = len(table["columns"])
    # each thread has row groups and partitions of its own
    return limited_resources(
        client,
        files,
        columns=columns,
        memory_factor=_MEMORY_FACTOR * memory_factor,
        threads=1,
        partitioned_write_flush_threshold=row_group_rows(columns),
    )


def _limit_row_groups(client: Any, table: Any) -> None:  # noqa: ANN401 - dlt's
    """Limit the row groups of a table in the dataset of a client, unless they are small already."""
    rows = row_group_rows(len(table["columns"]))
    dataset, name = client.dataset_name, table["name"]
    lake, entry = map(quote_text, (client.credentials.ducklake_name, f"{dataset}.{name}"))
    ((configured,),) = client.execute_sql(
        f"SELECT min(value::bigint) FROM ducklake_options({lake}) "  # noqa: S608 - quoted
        f"WHERE option_name = '{_ROW_GROUP}' AND scope_entry = {entry}"
    )
    if configured is None or configured > rows:
        schema_name, table_name = map(quote_text, (dataset, name))
        client.execute_sql(
            f"CALL ducklake_set_option({lake}, '{_ROW_GROUP}', {rows}, "
            f"schema => {schema_name}, table_name => {table_name})"
        )
