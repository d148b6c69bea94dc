"""Verified windows into the items that are handed to dlt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple, Protocol

import dlt
import pyarrow as pa
from dlt.common.typing import TDataItems

from .. import constants
from ..config.model import Config
from ..decode.blocks import BlockReader, ReadBlock, read_blocks
from ..decode.columns import ColumnMap, StoredColumn
from ..decode.decoded import Decoded, Selection
from ..decode.decoder import BlockDecoder
from ..decode.identity import RowIdentifier
from ..decode.json_values import Repairs
from ..decode.layout import Layout
from ..decode.parallel import available_processors, map_ahead, release_memory
from ..decode.value_types import PROFILE, RowKind
from ..decode.verify import VerifiedWindow
from ..errors import TruncatedError
from .context import Job
from .load_log import LOADS_KEY, LOADS_TABLE, WindowLoad
from .spool import Spooled

COLUMNS_TABLE = "_mixpanel_columns"
COLUMNS_KEY = ["table_name", "property", "column_name"]
COLUMNS_STATE = "columns"
TOLD_STATE = "columns_told"

Lay = Callable[[Decoded], Layout]


def build_reader(config: Config, identifier: RowIdentifier) -> BlockReader:
    """The reader that verifies rows of the identifier's kind."""
    return BlockReader(identifier, workers=count_workers(config))


def build_decoder(config: Config, kind: RowKind, *, identity: tuple[str, ...] = ()) -> BlockDecoder:
    """The decoder for the configured property mode.

    Args:
        config: its `properties` decide what is decoded.
        kind: of the rows.
        identity: names of the properties that are needed even if only the JSON column is wanted.
    """
    selection = Selection(
        only=identity if config.properties == "json" else None,
        raw=config.properties != "columns",
        digest=kind is PROFILE,
    )
    return BlockDecoder(kind, selection, workers=count_workers(config))


def count_workers(config: Config) -> int:
    """The number of threads that decode."""
    # leave one processor for the prefetch thread
    return config.workers or max(1, min(available_processors() - 1, constants.WORKERS_MAX))


class Proven(Protocol):
    """Rows on disk, read through and found whole."""

    @property
    def spooled(self) -> Spooled:
        """Where they are."""

    @property
    def verified(self) -> VerifiedWindow:
        """What reading them through has shown."""


class Shape(NamedTuple):
    """What rows are to look like."""

    lay: Lay
    schema: pa.Schema
    """Of the columns that every row has."""


def iter_items(
    found: Proven, decoder: BlockDecoder, shape: Shape, columns: ColumnMap, report: WindowLoad
) -> Iterator[TDataItems]:
    """Yields rows as dlt takes them, and counts them in `report`."""
    tables = iter_tables(found.spooled, found.verified, decoder, shape.lay, columns)
    for table, repairs in tables:
        report.rows += len(table)
        report.repairs.update(repairs)
        names = [*columns.json_columns, "properties"]
        yield with_json_columns(with_schema(table, shape.schema), names)


def iter_tables(
    spooled: Spooled,
    verified: VerifiedWindow,
    decoder: BlockDecoder,
    lay: Lay,
    columns: ColumnMap,
) -> Iterator[tuple[pa.Table, Repairs]]:
    """Yields the rows of a window as arrow tables with the columns of the destination.

    A table has at most `BATCH_ROWS` rows, of at most about `BLOCK_BYTES` bytes of JSON.
    """

    def prepare(part: tuple[ReadBlock, int]) -> list[tuple[Layout, int, Repairs]]:
        block, start = part
        dropped = verified.index.dropped_between(start, start + block.row_count)
        decoded = decoder.decode(block, start=start, dropped=dropped)
        batches = decoded.iter_batches(constants.BATCH_ROWS)
        return [(lay(batch), batch.row_count, batch.repairs) for batch in batches]

    parts = _iter_parts(spooled, verified, decoder)
    for prepared in map_ahead(prepare, parts, workers=decoder.workers):
        for laid, rows, repairs in prepared:
            placed = columns.place(laid.properties, rows=rows)
            yield pa.table({**laid.fixed, **placed}), repairs


def replace_all(key: str) -> Any:  # noqa: ANN401 - a dict that dlt types by its content
    """The write disposition of a table that is replaced as a whole.

    Unlike dlt's own `replace` it deletes and inserts in one transaction on any SQL destination. If
    there is nothing to insert, a row without `key` makes the deletion happen and goes no further.
    """
    return {
        "disposition": "merge",
        "strategy": "delete-insert",
        "destination_scope": "1 = 1",
        "source_filter": f"{key} IS NOT NULL",
    }


def with_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the fields of `schema`, nullability included, for columns of those names."""
    known = {field.name: field for field in schema}
    return table.cast(pa.schema([known.get(field.name, field) for field in table.schema]))


def _iter_parts(
    spooled: Spooled, verified: VerifiedWindow, decoder: BlockDecoder
) -> Iterator[tuple[ReadBlock, int]]:
    """The blocks of a window, each with the position of its first row."""
    position = 0
    for block in _iter_blocks(spooled, verified, decoder):
        yield block, position
        position += block.row_count
    if position != len(verified.index):
        raise TruncatedError(
            f"{spooled.path.name} holds other rows than were verified: it was changed on the disk. "
            "Run again."
        )


def _iter_blocks(
    spooled: Spooled, verified: VerifiedWindow, decoder: BlockDecoder
) -> Iterator[ReadBlock]:
    """The blocks of a window: those still in memory, which are released, then the others."""
    kept = len(verified.blocks)
    rows = 0
    while verified.blocks:
        rows += verified.blocks[0].row_count
        yield verified.blocks.pop(0)
    if rows < len(verified.index):
        others = islice(spooled.row_blocks(), kept, None)
        yield from read_blocks(others, decoder.kind, workers=decoder.workers)


def with_json_columns(table: pa.Table, names: Iterable[str]) -> TDataItems:
    """Mark which of a table's text columns hold JSON."""
    present = {*names} & {*table.column_names}
    hints: Any = {name: {"data_type": "json"} for name in sorted(present)}
    if not hints:
        return table
    return dlt.mark.with_hints(table, dlt.mark.make_hints(columns=hints))


@contextmanager
def stored_columns(
    state: dict[str, Any], fixed: Mapping[str, str | None], config: Config
) -> Iterator[ColumnMap]:
    """The columns of a table as `state` has them, stored there again however the load ends."""
    columns = ColumnMap(fixed, state.get(COLUMNS_STATE, ()), max_columns=config.max_columns)
    try:
        yield columns
    finally:
        state[COLUMNS_STATE] = [list(column) for column in columns.stored]


def closing_items(
    table_name: str, job: Job, state: dict[str, Any], fixed: Sequence[StoredColumn] = ()
) -> Iterator[TDataItems]:
    """Yields what is said of a resource's data in the same load package as the data.

    Args:
        table_name: of the resource.
        job: whose reports to tell.
        state: where `stored_columns` keeps the columns, and where is kept which of them were told.
        fixed: columns of properties that every row has a column for.
    """
    # what comes next, in the same process, is the destination
    release_memory()
    columns = [*fixed, *(StoredColumn(*column) for column in state.get(COLUMNS_STATE, ()))]
    new = columns[state.get(TOLD_STATE, 0) :]
    if new:
        state[TOLD_STATE] = len(columns)
        rows = [{"table_name": table_name, **column._asdict()} for column in new]
        yield beside(rows, COLUMNS_TABLE, primary_key=COLUMNS_KEY)
    reports = [report.as_row() for report in job.reports if report.table_name == table_name]
    if reports:
        yield beside(reports, LOADS_TABLE, primary_key=LOADS_KEY)
    job.progress.loading(table_name)


def beside(
    rows: list[dict[str, Any]],
    table: str,
    *,
    primary_key: Sequence[str] = (),
    write_disposition: Any = "merge",  # noqa: ANN401 - as dlt types it
    columns: Mapping[str, Any] | None = None,
) -> TDataItems:
    """Rows for another table than the resource's own, in the same load package."""
    hints = dlt.mark.make_hints(
        table_name=table,
        write_disposition=write_disposition,
        primary_key=[*primary_key],
        # none given is none: the columns of the resource itself would come along
        columns=dict(columns or {}),
        # what is said of the data is not held to the contract that a user makes for the data
        schema_contract="evolve",
    )
    return dlt.mark.with_hints(rows, hints, create_table_variant=True)
