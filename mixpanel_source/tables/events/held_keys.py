"""Compares the rows that a table holds of some days with those of a reply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import dlt
import numpy as np
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from numpy.typing import NDArray

from ...decode.index.row_index import RowIndex
from .archive_guard import has_table

ROWS_AT_ONCE = 50_000


def holds_other_rows(
    pipeline: dlt.Pipeline, table: str, index: RowIndex, days: Sequence[date]
) -> bool:
    """Whether a table holds rows under some days that a reply does not have.

    Args:
        pipeline: that has loaded the table.
        table: name of the table, with `event_date` and `event_key`.
        index: the rows of the reply.
        days: no query is made without any.
    """
    if not days or not has_table(pipeline, table):
        return False
    served = np.sort(index.first_words(index.present()))
    return any(not np.isin(held, served).all() for held in _iter_words(pipeline, table, days))


def _iter_words(
    pipeline: dlt.Pipeline, table: str, days: Sequence[date]
) -> Iterator[NDArray[np.uint64]]:
    """Yields the first words of the keys held, see `RowIndex.first_words`."""
    listed = ", ".join(f"CAST('{day}' AS date)" for day in days)
    with pipeline.sql_client() as client:
        name = client.make_qualified_table_name(table)
        query = f"SELECT event_key FROM {name} WHERE event_date IN ({listed})"  # noqa: S608 - our own names, and dates
        try:
            with client.execute_query(query) as cursor:
                while rows := cursor.fetchmany(ROWS_AT_ONCE):
                    keys = bytes.fromhex("".join(key for (key,) in rows))
                    yield np.frombuffer(keys, np.uint64).reshape(len(rows), -1)[:, 0]
        except DatabaseUndefinedRelation:
            return
