"""What a worker does: fetches and verifies a window, and writes its rows to files.

All files are on storage that the workers and the process of the job share. A task leaves nothing
but files, so one whose worker dies is started again: what was verified is in the spool.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from ...api.gate import Gate
from ...api.rate_limit import pace_of
from ...api.server_time import ServerTime
from ...catalog.tables import EXPORT
from ...config.model import Config
from ...decode.columns import ColumnMap, StoredColumn
from ...decode.forgotten import ForgottenIds
from ...decode.index.row_index import SavedIndex
from ...decode.layout import EXPORT_COLUMNS, EXPORT_IDENTITY, EXPORT_SCHEMA, export_layout
from ...decode.value_types import EVENT
from ...errors import ConfigError, MixpanelError
from ...files import make_private
from ...memory import release_memory
from ...tables.context import LoadContext
from ...tables.emit import TableFormat, build_decoder, iter_items
from ...tables.events.fetching import FetchedWindow, WindowFetch
from ...tables.item_files import FileWriter, FinishedFile, unpack
from ...tables.load_log import WindowLoad
from ...tables.spool.files import Spooled, SpooledParts
from ...windows import Window
from .quota import QuotaLog


@dataclass(frozen=True)
class Order:
    """A window to fetch and to write."""

    config: Config
    forgotten: ForgottenIds
    window: Window
    patience_s: float
    after: float
    """See `WindowFetch`."""
    rows_a_day: int
    """Events that a day is expected to have."""
    spool: Path
    directory: Path
    """Where the files of rows go."""
    columns: tuple[StoredColumn, ...]
    """Of the table, when the order was given."""
    schema: pa.Schema
    """The first columns of each file."""


@dataclass
class Written:
    """What a task has done."""

    names: tuple[str, ...] = ()
    """See `FetchedWindow`."""
    spooled: Spooled | SpooledParts | None = None
    lines_bytes: int = 0
    index: SavedIndex | None = None
    dropped: int = 0
    """Rows that are not in the files, beside those of forgotten persons."""
    files: list[FinishedFile] = field(default_factory=list)
    load: WindowLoad | None = None
    """What the rows are counted in."""
    columns: tuple[StoredColumn, ...] = ()
    """Those that were assigned beyond the columns of the order."""
    failure: MixpanelError | None = None
    """Why the window could not be fetched."""
    requests: int = 0
    """Requests made, failed ones included."""
    server_time: ServerTime = field(default_factory=ServerTime)


def load_window(order: Order, quota: Any, holder: str) -> Written:  # noqa: ANN401 - see `QuotaLog`
    """Fetch, verify and write a window; a task.

    Args:
        order: what to do.
        quota: handle of the actor with the quota.
        holder: identifies the task.
    """
    if not order.directory.exists():
        # Ray raises it where the job runs
        raise ConfigError(
            f"{order.directory} does not exist on a worker. Set DLT_DATA_DIR to a directory that "
            "all nodes share."
        )
    config = order.config
    context = LoadContext(config, gate=Gate(pace_of(config), QuotaLog(quota, holder), time))
    context.window_requests.splitter.note(order.rows_a_day)
    fetch = WindowFetch(
        context,
        context.open_spool(order.spool),
        order.window,
        patience_s=order.patience_s,
        after=order.after,
    )
    written = Written(server_time=context.client.server_time)
    try:
        fetched = fetch.fetch()
        _write(order, fetched, written)
    except MixpanelError as failure:
        written.failure = failure
    written.requests = context.client.requests
    release_memory()
    return written


def _write(order: Order, fetched: FetchedWindow, written: Written) -> None:
    """Write the rows of a window with a map of columns of this task's own."""
    index = fetched.verified.index
    index.window = order.window
    columns = ColumnMap(EXPORT_COLUMNS, order.columns, max_columns=order.config.max_columns)
    decoder = build_decoder(
        order.config, EVENT, forgotten=order.forgotten, identity=EXPORT_IDENTITY
    )
    lay = partial(export_layout, index=index, zone=order.config.project_timezone)
    written.load = WindowLoad(EXPORT, *order.window, 0, 0, 0.0, is_final=False, repairs=Counter())
    directory = order.directory / uuid4().hex
    make_private(directory)
    writer = FileWriter(directory, order.schema)
    table_format = TableFormat(decoder, lay, EXPORT_SCHEMA, columns)
    for item in iter_items(fetched, table_format, written.load):
        rows, _ = unpack(item)
        written.files += writer.write(rows)
    written.files += writer.finish()
    written.names, written.spooled = fetched.names, fetched.spooled
    written.lines_bytes = fetched.verified.lines_bytes
    written.index = index.save(order.spool / f"{fetched.names[0]}.index")
    written.dropped = len(index.dropped)
    written.columns = tuple(columns.stored[len(order.columns) :])
