"""Arrow schemas of lake tables, and datasets over their files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.dataset as ds
from fsspec import AbstractFileSystem
from pyarrow.fs import FileSystem, FSSpecHandler, LocalFileSystem, PyFileSystem

PARTITION = "event_date"
"""A table that has this column has a directory for each of its days."""

Days: TypeAlias = "Sequence[date] | None"
"""Days whose rows are replaced: all rows if None, no row if empty."""


class DataFile(NamedTuple):
    """A Parquet file of a table."""

    path: str
    """As its file system names it."""
    day: date | None = None
    """Of a partitioned table, the day of all rows: the file itself lacks the column."""
    size: int = 0
    """Bytes."""


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """A schema with the types that every format has, all columns nullable."""
    return pa.schema([pa.field(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):  # JSON, which is text
        return _plain_type(kind.storage_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    return kind


def arrow_filesystem(filesystem: AbstractFileSystem, *, is_local: bool) -> FileSystem:
    """A file system for Arrow."""
    return LocalFileSystem() if is_local else PyFileSystem(FSSpecHandler(filesystem))


def scan(files: Sequence[DataFile], schema: pa.Schema, filesystem: FileSystem) -> ds.Dataset:
    """The rows of a table, without opening a file.

    Args:
        files: of the table; a column that a file lacks is null there.
        schema: of the table.
        filesystem: where the files are.
    """
    if not files:
        return ds.dataset(schema.empty_table())
    everything = ds.scalar(True)
    day = ds.field(PARTITION)
    return ds.FileSystemDataset.from_paths(
        [file.path for file in files],
        schema=schema,
        format=ds.ParquetFileFormat(),
        filesystem=filesystem,
        partitions=[
            everything if file.day is None else day == pa.scalar(file.day) for file in files
        ],
    )


def conform(rows: pa.RecordBatchReader, schema: pa.Schema) -> pa.RecordBatchReader:
    """Rows with the types of a table, batch by batch.

    Args:
        rows: with some of the table's columns.
        schema: of the table.
    """
    fields = pa.schema([schema.field(name) for name in rows.schema.names])
    return pa.RecordBatchReader.from_batches(
        fields, (pa.record_batch(batch).cast(fields) for batch in rows)
    )
