"""Blocks of a window become tables, whatever share of their rows is left out."""

from __future__ import annotations

from datetime import date
from functools import partial
from pathlib import Path

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from mixpanel_source.decode.blocks import BlockReader
from mixpanel_source.decode.columns import ColumnMap
from mixpanel_source.decode.decoded import Selection
from mixpanel_source.decode.decoder import BlockDecoder
from mixpanel_source.decode.index.identity import EventIdentifier
from mixpanel_source.decode.index.row_index import RowIndex
from mixpanel_source.decode.layout import EXPORT_COLUMNS, export_layout
from mixpanel_source.decode.value_types import EVENT
from mixpanel_source.decode.verify import VerifiedWindow
from mixpanel_source.tables.emit import iter_tables
from mixpanel_source.tables.spool.files import Fingerprint, Spooled

DAY = date(2026, 11, 20)
READER = BlockReader(EventIdentifier())
NOWHERE = Spooled(Path("none"), Fingerprint(), gzipped=False, fetched_at=0.0)
COMPILED, BY_LINE = 0, 10**9


def make_line(insert_id: int, processed_ms: int) -> bytes:
    """An event; of those with the same id, the one processed last is kept."""
    properties = {
        "time": 1_795_132_800,
        "$insert_id": str(insert_id),
        "mp_processing_time_ms": processed_ms,
        "items": [insert_id],
    }
    return orjson.dumps({"event": "ab"[insert_id % 2], "properties": properties}) + b"\n"


@example(blocks=[[1, 2, 3], [1, 2, 3]], small=COMPILED, workers=2)
@example(blocks=[[1, 2, 3], [1, 2, 3]], small=BY_LINE, workers=1)
@example(blocks=[[1], [1], [1, 2]], small=COMPILED, workers=1)
@given(
    blocks=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), max_size=5),
    small=st.sampled_from([COMPILED, BY_LINE]),
    workers=st.sampled_from([1, 2]),
)
def test_superseded_rows_are_left_out(blocks: list[list[int]], small: int, workers: int) -> None:
    """Each event comes once, even if the first block holds nothing but superseded ones."""
    verified = VerifiedWindow(RowIndex())
    last: dict[int, int] = {}
    for ids in blocks:
        lines = []
        for insert_id in ids:
            last[insert_id] = last.get(insert_id, 0) + 1
            lines.append(make_line(insert_id, last[insert_id]))
        block, identities = READER.read(b"".join(lines), small=small)
        verified.index.extend(identities)
        verified.blocks.append(block)
    verified.index.resolve_duplicates()
    decoder = BlockDecoder(EVENT, Selection(raw=True), workers=workers)
    lay = partial(export_layout, index=verified.index, zone="UTC")
    tables = [
        table
        for table, _ in iter_tables(NOWHERE, verified, decoder, lay, ColumnMap(EXPORT_COLUMNS))
    ]
    found = [row for table in tables for row in table.to_pylist()]
    assert all(len(table) for table in tables)
    kept = {int(row["insert_id"]): row["mp_processing_time_ms"] for row in found}
    assert kept == last
    assert len(found) == len(last)
