"""Rows of a batch, from the load package and into the record of what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ..api.replies import Refused
from ..rows.updates import UNREPEATABLE
from ..runs import OUTCOME


@dataclass
class Row:
    """A row of a batch."""

    key: str
    content: str
    day: str
    event: str
    insert_id: str
    payload: bytes
    problem: str
    names: str
    held: bool
    refused: Refused | None = None
    is_unknown: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether sending the row again changes nothing."""
        return not UNREPEATABLE.intersection(self.event.split())

    @property
    def outcome(self) -> str:
        """What became of the row."""
        if self.held:
            return "skipped"
        if self.is_unknown:
            return "unknown"
        return "refused" if self.refused else "accepted"


def read_rows(batch: pa.RecordBatch) -> list[Row]:
    """The rows of a batch of a load package."""
    columns: dict[str, Any] = {
        name: batch.column(name).to_pylist()
        for name in ("key", "content", "day", "event", "insert_id", "problem", "names", "held")
    }
    payloads = batch.column("payload").cast(pa.binary()).to_pylist()
    return [
        Row(
            key,
            content,
            day or "",
            event or "",
            insert_id or "",
            payload,
            problem or "",
            names or "",
            held,
        )
        for key, content, day, event, insert_id, problem, names, held, payload in zip(
            *columns.values(), payloads, strict=True
        )
    ]


def why_refused(row: Row) -> Refused | None:
    """Why a row is not stored; None if it is."""
    if row.held:
        where, _, message = row.problem.partition(": ")
        return Refused(0, where, message)
    return row.refused


def outcome_of(rows: Sequence[Row]) -> pa.Table:
    """What became of the rows; see `OUTCOME`."""
    return pa.table(
        [[getattr(row, name) for row in rows] for name in OUTCOME.names], schema=OUTCOME
    )


def facts_of(rows: Sequence[Row]) -> dict[str, int]:
    """The numbers of rows by outcome, and the bytes of those that were sent."""
    size = sum(len(row.payload) for row in rows if not row.held)
    facts = {"accepted": 0, "refused": 0, "skipped": 0, "unknown": 0, "bytes": size}
    for row in rows:
        facts[row.outcome] += 1
    return facts
