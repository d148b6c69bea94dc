"""Turns arrow items into finished files of a load package, which a thread of their own writes.

dlt writes arrow tables on the thread that extracts, and looks at the columns of each table anew.
Here a thread writes the files while the next blocks are decoded, and dlt sees one item a file,
which it only links into the package. A file has the columns of the table in dlt's schema, in its
order: dlt would otherwise write it a second time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.configuration import resolve_configuration
from dlt.common.libs.pyarrow import columns_to_arrow
from dlt.common.schema.typing import C_DLT_ID, C_DLT_LOAD_ID
from dlt.common.typing import TDataItems
from dlt.extract.items import DataItemWithMeta
from dlt.normalize.configuration import ItemsNormalizerConfiguration

from .. import constants

DIRECTORY = "parquet"
"""In the working directory of the pipeline, until the files are part of the package."""
_TABLES_AHEAD = 2
"""Tables that wait to be written; each takes several megabytes."""
_GROUP_ROWS = 8_192
"""Minimum rows of a row group; with fewer, reading takes longer."""
_PARQUET_FORMAT: Mapping[str, Any] = {
    "version": "2.6",
    # the files are read once, at once: a dictionary costs more than it saves
    "use_dictionary": False,
    "compression": "lz4",
}


class FinishedFile(NamedTuple):
    """A file that is complete."""

    path: Path
    schema: pa.Schema
    rows: int


class WrittenFile(NamedTuple):
    """An item: a file that another process has written."""

    file: FinishedFile
    template: TDataItems
    """An item without rows that has the hints of the file."""


class FileWriter:
    """Writes arrow tables to files of about `FILE_ROWS` rows; for one thread.

    Args:
        directory: of the files; it exists.
        schema: the first columns of each file, which may be missing in tables.
    """

    def __init__(self, directory: Path, schema: pa.Schema) -> None:
        self._directory = directory
        self._schema = schema
        self._writer: pq.ParquetWriter | None = None
        self._path = directory
        self._rows = 0
        self._count = 0
        self._waiting: list[pa.Table] = []
        """Tables for the next row group."""

    def write(self, table: pa.Table) -> list[FinishedFile]:
        """Write a table; returns the files that are complete now."""
        finished = []
        schema = _extended(self._schema, table.schema)
        if schema != self._schema:
            finished = self.finish()
            self._schema = schema
        self._waiting.append(_fitted(table, schema))
        self._rows += len(table)
        if sum(map(len, self._waiting)) >= _GROUP_ROWS:
            self._write_group()
        return finished + (self.finish() if self._rows >= constants.FILE_ROWS else [])

    def finish(self) -> list[FinishedFile]:
        """Complete the file that is being written, if there is one."""
        self._write_group()
        if self._writer is None:
            return []
        self.close()
        finished = FinishedFile(self._path, self._schema, self._rows)
        self._rows = 0
        return [finished]

    def _write_group(self) -> None:
        if not self._waiting:
            return
        if self._writer is None:
            self._path = self._directory / f"{self._count}.parquet"
            self._count += 1
            self._writer = pq.ParquetWriter(self._path, self._schema, **_PARQUET_FORMAT)
        self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting.clear()

    def close(self) -> None:
        """Close the file that is being written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def iter_as_files(items: Iterable[TDataItems], table: str) -> Iterator[TDataItems]:
    """Yields items for dlt, with files in place of the arrow tables of the resource's own table.

    Only for extraction by dlt itself: a transformation would see no rows.

    Args:
        items: of a resource.
        table: name of the resource's table.
    """
    directory = Path(dlt.current.pipeline().working_dir) / DIRECTORY
    directory.mkdir(mode=0o700, exist_ok=True)
    writer = FileWriter(directory, stored_schema(table))
    hints = _Hints()
    pending: deque[Future[list[FinishedFile]]] = deque()
    # if the job ends early, the thread has ended before the file is closed
    with closing(writer), ThreadPoolExecutor(1, "mixpanel-write") as pool:
        for item in items:
            if isinstance(item, WrittenFile):
                hints.merge_item(item.template)
                yield from _iter_imports([item.file], hints)
                continue
            rows, meta = unpack(item)
            if not isinstance(rows, pa.Table) or (meta is not None and meta.create_table_variant):
                yield item
                continue
            hints.merge_item(item)
            pending.append(pool.submit(writer.write, rows))
            while len(pending) > _TABLES_AHEAD:
                yield from _iter_imports(pending.popleft().result(), hints)
        pending.append(pool.submit(writer.finish))
        while pending:
            yield from _iter_imports(pending.popleft().result(), hints)


def unpack(item: TDataItems) -> tuple[Any, Any]:
    """The rows of an item, and its hints for dlt if it has any."""
    return (item.data, item.meta) if isinstance(item, DataItemWithMeta) else (item, None)


def adds_load_id() -> bool:
    """Whether dlt is configured to add a column to arrow tables, which it does not for files."""
    config = resolve_configuration(
        ItemsNormalizerConfiguration(), sections=("normalize", "parquet_normalizer")
    )
    return bool(config.add_dlt_load_id or config.add_dlt_id)


class _Hints:
    """What dlt cannot tell from the schema of a file, gathered from the items that it holds."""

    def __init__(self) -> None:
        self._columns: dict[str, Any] = {}
        self._others: dict[str, Any] = {}

    def merge_item(self, item: TDataItems) -> None:
        _, meta = unpack(item)
        hints: Mapping[str, Any] = meta.hints if meta is not None else {}
        self._columns |= hints.get("original_columns") or {}
        if disposition := hints.get("write_disposition"):
            self._others["write_disposition"] = disposition

    def of(self, schema: pa.Schema) -> Any:  # noqa: ANN401 - dlt's own type is not public
        names = {*schema.names}
        columns = {name: column for name, column in self._columns.items() if name in names}
        return dlt.mark.make_hints(columns=columns, **self._others)


def _iter_imports(files: Iterable[FinishedFile], hints: _Hints) -> Iterator[DataItemWithMeta]:
    for file in files:
        rows = file.schema.empty_table()
        item = dlt.mark.with_file_import(str(file.path), "parquet", file.rows, rows)
        item.meta.hints = hints.of(file.schema)
        yield item
        # dlt has linked it into the package
        file.path.unlink()


def stored_schema(table: str) -> pa.Schema:
    """The columns of a table as earlier loads have left them, without those that dlt adds."""
    schema = dlt.current.source_schema()
    if table not in schema.tables:
        return pa.schema([])
    columns = schema.get_table_columns(table)
    added = {schema.naming.normalize_identifier(name) for name in (C_DLT_ID, C_DLT_LOAD_ID)}
    own = {name: column for name, column in columns.items() if name not in added}
    # None: the types are those of any destination
    return columns_to_arrow(own, None, "UTC")  # type: ignore[arg-type]


def _extended(schema: pa.Schema, other: pa.Schema) -> pa.Schema:
    """A schema with the columns of another added to it, and with its types."""
    fields = {field.name: field for field in schema}
    for field in other:
        known = fields.get(field.name)
        fields[field.name] = known.with_type(field.type) if known else field
    return pa.schema([*fields.values()])


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with all columns of a schema, null where it lacks one."""
    present = {*table.column_names}
    columns = [
        table[field.name] if field.name in present else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
