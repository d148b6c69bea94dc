"""Lists that keep earlier versions of their rows (slowly changing dimension, type 2).

A row whose content has changed is closed, and the new one opened. Which rows these are is decided
by a digest of the content.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import dlt

from ...config.model import Config
from ...decode.json_values import content_digest
from ...destinations.replacement import Replacement, TombstoneRow
from .fetching import Row

logger = logging.getLogger("mixpanel_source")

ROW_VERSION = "row_version"
"""Column with the digest of a row."""
_FROM, _TO = "_dlt_valid_from", "_dlt_valid_to"
"""Columns in which dlt keeps from when to when a row was valid."""


def may_keep_history(table: str, config: Config) -> bool:
    """Whether a table keeps its history, in the pipeline that is running.

    A table that has one keeps it, because a load without it would delete the earlier versions.
    """
    if table in config.history:
        return True
    if ROW_VERSION not in _known_columns(table):
        return False
    logger.warning(
        "%s: it keeps its history, although history no longer names it. To load it without, drop "
        "the table.",
        table,
    )
    return True


class Versions:
    """What a load of a table with a history replaces, and the rows that it takes."""

    def __init__(self, table: str, replacement: Replacement) -> None:
        """Prepare.

        Args:
            table: name of the table.
            replacement: what a load without a history replaces.
        """
        known = _known_columns(table)
        # rows that were loaded without a version cannot be closed: the first load replaces them
        self._begins = bool(known) and ROW_VERSION not in known
        self.replacement = (
            replacement if self._begins else replace(replacement, row_version=ROW_VERSION)
        )

    @property
    def columns(self) -> dict[str, str]:
        """Columns beside those of the list -> dlt's type."""
        return {_FROM: "timestamp", _TO: "timestamp"} if self._begins else {}

    def rows(self, entries: Iterable[Row], now: datetime) -> list[Row]:
        """The rows to load; a tombstone if there are no entries.

        Args:
            entries: of the list.
            now: an aware instant.
        """
        validity: Row = {_FROM: now, _TO: None} if self._begins else {}
        versions = [
            {**entry, ROW_VERSION: content_digest(entry).hex(), **validity} for entry in entries
        ]
        tombstone = TombstoneRow({**self.replacement.tombstone_row(), ROW_VERSION: ""})
        return versions or [tombstone]


def current_rows(pipeline: dlt.Pipeline, table: str) -> str:
    """The SQL condition on the rows of a table that no later version has replaced."""
    tables = (schema.tables.get(table) for schema in pipeline.schemas.values())
    has_history = any(_TO in known["columns"] for known in tables if known)
    return f"{_TO} IS NULL" if has_history else "1 = 1"


def _known_columns(table: str) -> dict[str, Any]:
    # dlt adds what the pipeline has loaded before to the schema of the source
    known = dlt.current.source_schema().tables.get(table)
    return {**known["columns"]} if known else {}
