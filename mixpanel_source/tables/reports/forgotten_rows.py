"""Leaves out the rows of `activity` that belong to forgotten persons."""

from __future__ import annotations

from itertools import chain
from typing import Any

import orjson

from ...decode.forgotten import PERSON_PROPERTIES, ForgottenIds
from ...decode.reply_values import text_of
from .rows import Rows


def without_forgotten(rows: Rows, forgotten: ForgottenIds) -> Rows:
    """The rows of `activity` that belong to nobody who is forgotten."""
    if not forgotten:
        return rows
    ids = [_person_ids(row) for row in rows]
    found = forgotten.find({*chain.from_iterable(ids)})
    return [row for row, own in zip(rows, ids, strict=True) if found.isdisjoint(own)]


def _person_ids(row: Any) -> set[str]:  # noqa: ANN401 - a row of `activity`
    properties = orjson.loads(row.properties)
    values = (row.distinct_id, *map(properties.get, PERSON_PROPERTIES))
    return {text_of(value) for value in values if isinstance(value, (str, int, float))}
