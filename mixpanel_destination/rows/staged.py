"""A row as it is staged: the JSON that will be sent, and what is known of it.

Pure. Staged rows are what a load package of dlt holds. They have no token and no secret, which join
when a row is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

KINDS = ("events", "profiles", "groups")
KIND_HINT = "x-mixpanel-kind"
"""Hint of a table: what its rows are; one of `KINDS`."""


class Staged(NamedTuple):
    """One row."""

    key: str
    """32 hex digits that identify the row: of an event its name, id, `$insert_id` and day, by
    which Mixpanel finds duplicates; of an update the profile and the content."""
    content: str
    """32 hex digits of what the row says, without what Mixpanel changes."""
    day: str
    """UTC date of an event, YYYY-MM-DD; empty if it has no time, and of updates."""
    event: str
    """Name of the event; of an update, its operations."""
    insert_id: str
    """`$insert_id` of an event; id of a profile or group."""
    bytes: int
    """Length of the payload."""
    payload: str
    """JSON of the row, on one line."""
    problem: str = ""
    """Why Mixpanel will refuse the row, as `field: reason`; empty if nothing is known."""
    names: str = ""
    """Of an update, the properties that it sets, as a JSON list."""
    held: bool = False
    """Whether the row is not sent: it cannot be, or Mixpanel would accept and spoil it."""


SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("key", pa.string()),
        ("content", pa.string()),
        ("day", pa.string()),
        ("event", pa.string()),
        ("insert_id", pa.string()),
        ("bytes", pa.int64()),
        ("payload", pa.string()),
        ("problem", pa.string()),
        ("names", pa.string()),
        ("held", pa.bool_()),
    ]
)
"""Columns of a load package: those of `Staged`, after the number of the row within it."""


def to_table(rows: Sequence[Staged], *, first: int) -> pa.Table:
    """Rows as a table for dlt.

    Args:
        rows: in their order.
        first: number of the first row within the package.
    """
    numbers = pa.array(range(first, first + len(rows)), pa.int64())
    columns = [
        pa.array(values, SCHEMA.types[i + 1]) for i, values in enumerate(zip(*rows, strict=True))
    ]
    return pa.table([numbers, *columns], schema=SCHEMA)
