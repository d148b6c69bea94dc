"""What makes dlt take our rows: hints on items, and settings for tables that grow."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.schema.typing import TWriteDispositionConfig
from dlt.common.typing import TDataItems
from dlt.extract.items import DataItemWithMeta

from .. import constants
from ..destinations.replacement import Replacement, TombstoneRow, without_tombstones

WRITER_DEFAULTS = {
    # dlt refuses arrow tables of one run that differ; `default` adds columns and changes no value
    "sources.data_writer.arrow_concat_promote_options": "default",
    "sources.data_writer.file_max_items": constants.FILE_ROWS,
}
"""How dlt writes the files of a package, unless configured otherwise."""


def with_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the fields of `schema`, nullability included, for columns of those names."""
    known = {field.name: field for field in schema}
    return table.cast(pa.schema([known.get(field.name, field) for field in table.schema]))


def with_hints(
    table: pa.Table, *, json_columns: Iterable[str], replacement: Replacement | None = None
) -> TDataItems:
    """A table with what dlt cannot tell from its schema.

    Args:
        table: rows of the resource.
        json_columns: text columns that hold JSON; those the table lacks are ignored.
        replacement: what this load package replaces, if it is not what the resource declares.
    """
    present = {*json_columns} & {*table.column_names}
    hints: Any = {}
    if present:
        hints["columns"] = {name: {"data_type": "json"} for name in sorted(present)}
    if replacement is not None:
        hints["write_disposition"] = replacement.write_disposition
    return dlt.mark.with_hints(table, dlt.mark.make_hints(**hints)) if hints else table


def rows_for(
    rows: list[dict[str, Any]],
    table: str,
    *,
    primary_key: Sequence[str] = (),
    write_disposition: TWriteDispositionConfig = "merge",
    columns: Mapping[str, Any] | None = None,
) -> TDataItems:
    """Rows for a table other than the resource's own, in the same load package."""
    hints = dlt.mark.make_hints(
        table_name=table,
        write_disposition=write_disposition,
        primary_key=[*primary_key],
        # an empty dict, not None: dlt would add the columns of the resource itself
        columns=dict(columns or {}),
        # a contract that a user sets for the data does not apply to what describes the data
        schema_contract="evolve",
    )
    return dlt.mark.with_hints(rows, hints, create_table_variant=True)


def iter_without_tombstones(items: Iterable[TDataItems]) -> Iterator[TDataItems]:
    """Yields items for a destination that only appends."""
    for item in items:
        if isinstance(item, DataItemWithMeta):
            yield DataItemWithMeta(item.meta, _without_tombstones(item.data))
        else:
            yield _without_tombstones(item)


def _without_tombstones(rows: TDataItems) -> TDataItems:
    if isinstance(rows, pa.Table):
        return without_tombstones(rows)
    return [row for row in rows if not isinstance(row, TombstoneRow)]


class _JsonHintNoise(logging.Filter):
    """Drops a warning that dlt logs for tables with JSON columns, which arrow has as text."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "several column hints were different" not in record.getMessage()


@contextmanager
def growing_tables() -> Iterator[None]:
    """Let dlt take arrow tables of one run whose columns grow in number, some of them JSON."""
    for name, value in WRITER_DEFAULTS.items():
        if dlt.config.get(name) is None:
            dlt.config[name] = value
    noise = _JsonHintNoise()
    dlt_logger = logging.getLogger("dlt")
    dlt_logger.addFilter(noise)
    try:
        yield
    finally:
        dlt_logger.removeFilter(noise)
