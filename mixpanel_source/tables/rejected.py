"""Rows that do not have the expected shape: the table `_mixpanel_rejected`, and its only writer.

A rejected row is stored as it came, in the same load package as the rows around it, and replaced
when these are replaced. The table is created with the first such row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timezone
from typing import Any, NamedTuple

import dlt
import pyarrow as pa
from dlt.common.typing import TDataItems

from .. import constants
from ..decode.decoder import BlockDecoder
from ..decode.forgotten import ForgottenIds
from ..decode.json_values import Repairs, content_digest, dump_json, repair_text, repair_utf8
from ..decode.masking import NO_MASK, Mask
from ..decode.row_shape import TOO_DEEP, RejectedRow, reject_line
from ..destinations.replacement import Kept, Replacement
from .emit import VerifiedRows, iter_rejected
from .load_log import REJECTED_TABLE, WindowLoad

PERSON_IDS = "person_ids"
"""Column with the ids of persons in a row, as a JSON list."""
MAX_CHARACTERS = 1_000_000
"""Maximum characters stored of a row."""

SCHEMA = pa.schema(
    [
        pa.field("table_name", pa.string(), nullable=False),
        pa.field("part", pa.string(), nullable=False),
        pa.field("day", pa.date32()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("row", pa.string(), nullable=False),
        pa.field("row_bytes", pa.int64(), nullable=False),
        pa.field("row_key", pa.string(), nullable=False),
        pa.field("distinct_id", pa.string()),
        pa.field(PERSON_IDS, pa.string()),
        pa.field("fetched_at", pa.timestamp("us", "UTC")),
    ]
)
REPLACE_PART = Replacement(scope=("table_name", "part"), keep="reason", blank="")
"""For tables and parts that are read as a whole."""
REPLACE_DAYS = Replacement(scope=("table_name", "part", "day"), keep="reason", blank="")
"""For tables that are read day by day."""
REPLACE_ROWS = Replacement(scope=("row_key",), keep="reason", blank="")
"""For tables of which only what changed is read."""


class Rejected(NamedTuple):
    """A row to store."""

    text: bytes
    """As it came."""
    row: RejectedRow
    day: date | None = None
    """That it is filed under; stored for tables that are read day by day."""

    @classmethod
    def of_value(cls, row: RejectedRow) -> Rejected:
        """A row that came as a part of a reply."""
        return cls(dump_json(row.value).encode(), row)


def find_rejected(rows: VerifiedRows, decoder: BlockDecoder) -> Iterator[Rejected]:
    """Yields the rejected rows of a file of rows.

    Args:
        rows: on disk.
        decoder: for the kind of the rows.
    """
    index = rows.verified.index
    days = index.date_array(pa.array(index.rejected))
    for line, day in zip(iter_rejected(rows, decoder), days, strict=True):
        yield Rejected(line, reject_line(line, decoder.kind), day.as_py())


class RejectedWriter:
    """Stores the rejected rows of one load, see `WindowLoad`, and counts them there."""

    def __init__(
        self,
        load: WindowLoad,
        forgotten: ForgottenIds,
        replacement: Replacement = REPLACE_PART,
        *,
        mask: Mask = NO_MASK,
    ) -> None:
        """Prepare.

        Args:
            load: the entry of the load log; receives the counts.
            forgotten: persons whose rows are not stored.
            replacement: which of the stored rows the load replaces.
            mask: if it masks anything, of each row only its outline is stored, because its values
                may be anywhere.
        """
        self._load = load
        self._forgotten = forgotten
        self._replacement = replacement
        self._mask = mask

    def iter_items(
        self, rows: Iterable[Rejected], *, days: Sequence[date] = ()
    ) -> Iterator[TDataItems]:
        """Yields the items for dlt.

        Args:
            rows: all rejected rows of the load.
            days: for `REPLACE_DAYS` the days whose stored rows are replaced.
        """
        for batch in _batches(rows):
            if kept := self._without_forgotten(batch):
                self._load.rows_rejected += len(kept)
                yield self._as_item(self._to_arrow(kept))
        if is_known() and (scope := self._scope(days)):
            yield self._as_item(self._replacement.tombstones(SCHEMA, **scope))

    def _scope(self, days: Sequence[date]) -> dict[str, list[Any]]:
        """What the tombstones delete; nothing if empty."""
        table, part = self._load.table_name, self._load.part
        if "day" in self._replacement.scope:
            named = {"table_name": [table] * len(days), "part": [part] * len(days)}
            return {**named, "day": [*days]} if days else {}
        return {"table_name": [table], "part": [part]} if "part" in self._replacement.scope else {}

    def _without_forgotten(self, rows: list[Rejected]) -> list[Rejected]:
        if not self._forgotten:
            return rows
        ids = [rejected.row.person_ids for rejected in rows]
        found = self._forgotten.find({id_ for own in ids for id_ in own})
        kept = [row for row, own in zip(rows, ids, strict=True) if found.isdisjoint(own)]
        self._load.rows_forgotten += len(rows) - len(kept)
        return kept

    def _to_arrow(self, rows: list[Rejected]) -> pa.Table:
        fetched_at = datetime.fromtimestamp(self._load.fetched_at, timezone.utc)
        return pa.Table.from_pylist(
            [
                {
                    "table_name": self._load.table_name,
                    "part": self._load.part,
                    "fetched_at": fetched_at,
                    **self._describe(row),
                }
                for row in rows
            ],
            schema=SCHEMA,
        )

    def _describe(self, rejected: Rejected) -> dict[str, Any]:
        text = _storable(rejected.text, self._load.repairs)
        ids = rejected.row.person_ids
        row_key = content_digest([self._load.table_name, self._load.part, text]).hex()
        if self._mask:
            ids = [self._mask.mask_id(id_) for id_ in ids]
            text, row_key = self._outline(rejected.row), self._mask.keyed(row_key)
        return {
            "day": rejected.day if "day" in self._replacement.scope else None,
            "reason": rejected.row.reason,
            "row": text[:MAX_CHARACTERS],
            "row_bytes": len(rejected.text),
            "row_key": row_key,
            "distinct_id": ids[0] if ids else None,
            PERSON_IDS: dump_json(ids) if ids else None,
        }

    def _outline(self, row: RejectedRow) -> str:
        if row.reason == TOO_DEEP:  # then only the ids were read
            return ""
        return dump_json(self._mask.outline(row.value))

    def _as_item(self, table: pa.Table) -> TDataItems:
        hints = dlt.mark.make_hints(
            table_name=REJECTED_TABLE,
            write_disposition=self._replacement.write_disposition,
            # an empty dict, not None: dlt would add the columns of the resource itself
            columns={},
            file_format="parquet",
            # a contract that a user sets for the data does not apply to what describes the data
            schema_contract="evolve",
        )
        return dlt.mark.with_hints(table, hints, create_table_variant=True)


def keeping(days: Sequence[date]) -> Replacement:
    """The replacement of days, except for rows of some of them, which stay."""
    if not days:
        return REPLACE_DAYS
    with dlt.current.pipeline().sql_client() as client:
        table = client.make_qualified_table_name(REJECTED_TABLE)
    return replace(REPLACE_DAYS, kept=Kept("day", sorted(days), "row_key", table))


def is_known() -> bool:
    """Whether the dataset that is being loaded has the table, and so may hold rows to replace."""
    # dlt adds what the pipeline has loaded before to the schema of the source
    return REJECTED_TABLE in dlt.current.source_schema().tables


def _batches(rows: Iterable[Rejected]) -> Iterator[list[Rejected]]:
    batch: list[Rejected] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row.text)
        if len(batch) >= constants.BLOCK_ROWS or size >= constants.BLOCK_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _storable(text: bytes, repairs: Repairs) -> str:
    return repair_text(repair_utf8(text, repairs), repairs)
