"""Turns verified windows into the items that dlt extracts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from dlt.common.typing import TDataItems
from numpy.typing import NDArray

from .. import constants
from ..config.model import Config
from ..decode.blocks import BlockReader, ReadBlock, read_blocks
from ..decode.columns import ColumnMap, StoredColumn
from ..decode.decoded import Decoded, Selection
from ..decode.decoder import BlockDecoder
from ..decode.forgotten import ForgottenIds
from ..decode.index.identity import RowIdentifier
from ..decode.index.same_id import ContentComparison
from ..decode.json_values import Repairs
from ..decode.layout import Layout
from ..decode.parallel import available_processors, map_ahead
from ..decode.value_types import EVENT, PROFILE, RowKind
from ..decode.verify import VerifiedWindow
from ..destinations.replacement import Replacement
from ..errors import TruncatedError
from ..memory import release_memory
from .dlt_items import rows_for, with_hints, with_schema
from .load_log import COLUMNS_TABLE, LOADS_KEY, LOADS_TABLE, WindowLoad, describe_rejected
from .masked_columns import build_mask, describe_columns, is_recorded
from .package import LoadPackage
from .spool.files import RowSource

logger = logging.getLogger("mixpanel_source")

COLUMNS_KEY = ["table_name", "property", "column_name"]
COLUMNS_STATE = "columns"
TOLD_STATE = "columns_told"
"""State of a resource: its columns, and how many of them `_mixpanel_columns` has."""

Lay = Callable[[Decoded], Layout]


def build_reader(
    config: Config, identifier: RowIdentifier, *, digests_lines: bool = False
) -> BlockReader:
    """The reader that verifies rows of the identifier's kind."""
    mask = build_mask(config)
    return BlockReader(identifier, count_workers(config), mask, digests_lines=digests_lines)


def build_decoder(
    config: Config, kind: RowKind, *, forgotten: ForgottenIds, identity: tuple[str, ...] = ()
) -> BlockDecoder:
    """The decoder for the configured property mode.

    Args:
        config: its `properties` decide what is decoded.
        kind: of the rows.
        forgotten: persons whose rows are not loaded.
        identity: names of the properties that are needed even if only the JSON column is wanted.
    """
    selection = Selection(
        only=identity if config.properties == "json" else None,
        raw=config.properties != "columns",
        digest=kind is PROFILE,
    )
    return BlockDecoder(kind, selection, count_workers(config), forgotten, build_mask(config))


def count_workers(config: Config) -> int:
    """The number of threads that decode."""
    # leave one processor for the prefetch thread
    return config.workers or max(1, min(available_processors() - 1, constants.WORKERS_MAX))


class VerifiedRows(Protocol):
    """Rows on disk that were read once and are complete."""

    @property
    def spooled(self) -> RowSource:
        """The file."""

    @property
    def verified(self) -> VerifiedWindow:
        """The result of reading it."""


class TableFormat(NamedTuple):
    """How the rows of a window become rows of a table."""

    decoder: BlockDecoder
    lay: Lay
    schema: pa.Schema
    """The columns that every row has."""
    columns: ColumnMap
    """The columns of properties."""
    replacement: Replacement | None = None
    """What the load package replaces, if it is not what the resource declares."""

    def as_item(self, table: pa.Table) -> TDataItems:
        """A table as an item for dlt."""
        names = [*self.columns.json_columns, "properties"]
        return with_hints(table, json_columns=names, replacement=self.replacement)


def iter_items(
    rows: VerifiedRows, table_format: TableFormat, load: WindowLoad
) -> Iterator[TDataItems]:
    """Yields rows as items for dlt, and counts them in `load`.

    Args:
        rows: on disk.
        table_format: how to decode and arrange them.
        load: the entry of the load log.
    """
    decoder = table_format.decoder
    pairs = rows.verified.index.duplicates
    comparison = ContentComparison(pairs) if decoder.kind is EVENT else None
    tables = iter_tables(
        rows.spooled,
        rows.verified,
        decoder,
        table_format.lay,
        table_format.columns,
        comparison=comparison,
    )
    unreleased = 0
    for table, repairs in tables:
        load.rows += len(table)
        load.repairs.update(repairs)
        yield table_format.as_item(with_schema(table, table_format.schema))
        unreleased += len(table)
        if unreleased >= constants.BATCH_ROWS:
            # takes milliseconds, and saves a tenth of the memory
            release_memory()
            unreleased = 0
    index = rows.verified.index
    if comparison is not None:
        load.duplicates_differing = comparison.count_differing()
    load.masked = frozenset(decoder.mask.seen)
    load.rows_forgotten += len(index) - len(index.dropped) - load.rows


def iter_tables(
    spooled: RowSource,
    verified: VerifiedWindow,
    decoder: BlockDecoder,
    lay: Lay,
    columns: ColumnMap,
    *,
    comparison: ContentComparison | None = None,
) -> Iterator[tuple[pa.Table, Repairs]]:
    """Yields the rows of a window as arrow tables with the columns of the destination.

    A table has at most `BATCH_ROWS` rows, of at most about `BLOCK_BYTES` bytes of JSON. With
    `comparison` the duplicates are compared on the way.
    """

    def prepare(part: tuple[ReadBlock, int]) -> list[tuple[Layout, int, Repairs]]:
        block, start = part
        if comparison is not None:
            comparison.note(block, start)
        dropped = verified.index.dropped_between(start, start + block.row_count)
        decoded = decoder.decode(block, start=start, dropped=dropped)
        batches = decoded.iter_batches(constants.BATCH_ROWS)
        return [(lay(batch), batch.row_count, batch.repairs) for batch in batches]

    parts = _iter_parts(spooled, verified, decoder)
    for prepared in map_ahead(prepare, parts, workers=decoder.workers):
        for laid, rows, repairs in prepared:
            placed = columns.place(laid.properties, rows=rows)
            yield pa.table({**laid.fixed, **placed}), repairs


def find_positions(rows: VerifiedRows, decoder: BlockDecoder) -> NDArray[np.int64]:
    """The positions of the rows that `iter_items` will yield, found by decoding all rows once more.

    Args:
        rows: on disk; blocks that are still in memory stay there.
        decoder: leaves out rows of forgotten persons.
    """
    index = rows.verified.index

    def find(part: tuple[ReadBlock, int]) -> NDArray[np.int64]:
        block, start = part
        dropped = index.dropped_between(start, start + block.row_count)
        return np.asarray(decoder.decode(block, start=start, dropped=dropped).positions)

    parts = _iter_parts(rows.spooled, rows.verified, decoder, release=False)
    return np.concatenate([np.empty(0, np.int64), *map(find, parts)])


def iter_rejected(rows: VerifiedRows, decoder: BlockDecoder) -> Iterator[bytes]:
    """Yields the line of each rejected row, in order.

    Reads all blocks once more if there are any; blocks that are still in memory stay there.
    """
    rejected = rows.verified.index.rejected
    if not len(rejected):
        return
    for block, start in _iter_parts(rows.spooled, rows.verified, decoder, release=False):
        first, last = np.searchsorted(rejected, (start, start + block.row_count))
        numbers = {*(rejected[first:last] - start).tolist()}
        yield from (line for number, line in block.odd if number in numbers)


def _iter_parts(
    spooled: RowSource,
    verified: VerifiedWindow,
    decoder: BlockDecoder,
    *,
    release: bool = True,
) -> Iterator[tuple[ReadBlock, int]]:
    """The blocks of a window, each with the position of its first row; see `_iter_blocks`."""
    position = 0
    for block in _iter_blocks(spooled, verified, decoder, release=release):
        yield block, position
        position += block.row_count
    if position != len(verified.index):
        raise TruncatedError(
            f"{spooled.path.name} changed on disk after it was verified. Run again."
        )


def _iter_blocks(
    spooled: RowSource,
    verified: VerifiedWindow,
    decoder: BlockDecoder,
    *,
    release: bool,
) -> Iterator[ReadBlock]:
    """The blocks of a window: those still in memory, then the others.

    With `release` each block in memory is released before the next one is used.
    """
    blocks = verified.blocks if release else [*verified.blocks]
    kept = len(blocks)
    rows = 0
    while blocks:
        rows += blocks[0].row_count
        yield blocks.pop(0)
    if rows < len(verified.index):
        others = islice(spooled.row_blocks(), kept, None)
        yield from read_blocks(others, decoder.kind, workers=decoder.workers)


@contextmanager
def stored_columns(
    state: dict[str, Any], fixed: Mapping[str, str | None], config: Config
) -> Iterator[ColumnMap]:
    """The columns of a table from `state`, stored back there however the load ends."""
    columns = ColumnMap(fixed, state.get(COLUMNS_STATE, ()), max_columns=config.max_columns)
    try:
        yield columns
    finally:
        state[COLUMNS_STATE] = [list(column) for column in columns.stored]


def column_items(
    package: LoadPackage,
    state: dict[str, Any],
    config: Config,
    fixed: Sequence[StoredColumn] = (),
) -> Iterator[TDataItems]:
    """Yields the columns of a package's properties, as far as they are not recorded yet.

    Args:
        package: complete but for the items that describe it.
        state: of the resource, where `stored_columns` keeps the columns.
        config: with the mask of the properties.
        fixed: columns of properties that every row has a column for.
    """
    columns = [*fixed, *(StoredColumn(*column) for column in state.get(COLUMNS_STATE, ()))]
    are_lost = package.loss is not None and not package.loss.is_described
    is_known = is_recorded(config, state) and not are_lost
    new = columns[state.get(TOLD_STATE, 0) :] if is_known else columns
    rows = describe_columns(new, config, state)
    if rows:
        state[TOLD_STATE] = len(columns)
        named = [{"table_name": package.table, **row} for row in rows]
        yield rows_for(named, COLUMNS_TABLE, primary_key=COLUMNS_KEY)


def closing_items(package: LoadPackage) -> Iterator[TDataItems]:
    """Yields the description of a package's data, in the same package as the data.

    Args:
        package: complete but for these items.
    """
    if package.windows:
        rows = [window.as_row() for window in package.windows]
        yield rows_for(rows, LOADS_TABLE, primary_key=LOADS_KEY)
    if package.checkpoint is None and (rejected := describe_rejected(package.windows)):
        # a job reports all of its packages at once
        logger.warning(rejected)
    package.progress.package_loading(package.table)
