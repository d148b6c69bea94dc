"""Which stored rows a load replaces, and which of the staged rows it inserts.

The seam between tables and destinations. A table declares a `Replacement` and yields tombstones
through it; dlt carries it in the write disposition to the destination, which deletes and inserts in
one transaction. A condition decides what goes, never a key: dlt's delete by key is quadratic.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.schema.typing import TWriteDispositionConfig

_COMPARISONS = {None: ("IS NOT NULL", "IS NULL"), "": ("<> ''", "= ''"), 0: ("> 0", "= 0")}
"""What a tombstone has in the column `keep` -> what is true of rows there, and of tombstones."""
_BLANKS = {pa.string(): "", pa.int64(): 0}
"""What a tombstone has in a column that may not be null."""

_MARK = b"mixpanel.tombstones"
"""Metadata of a schema: the column `keep` as JSON, and what tombstones have there."""


class TombstoneRow(dict[str, Any]):
    """A tombstone among rows that are dicts."""


class Kept(NamedTuple):
    """Stored rows that a load must not delete, although staged rows select them."""

    column: str
    """Column of the scope; its values are dates."""
    values: Sequence[date]
    key: str
    """Column that identifies a row: staged rows whose key is kept already are not inserted."""
    table: str
    """Qualified name of the table, as SQL."""


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """How a load of a table replaces what the table holds.

    Staged rows replace the stored rows that have the same values in the columns of `scope`. Where
    there is nothing to insert, for instance for a day without events, a tombstone is staged: a row
    that selects the stored rows to delete and is never inserted itself.

    Args:
        scope: columns whose staged values select the stored rows to delete; all rows if empty.
        keep: column that tells rows from tombstones.
        blank: what a tombstone has there: null, an empty text or 0.
        clears_all: whether one tombstone deletes all rows of the table, whatever `scope` selects.
        row_version: column that identifies a version of a row. Then rows are not deleted but
            closed, and the table keeps their history (slowly changing dimension, type 2).
        kept: stored rows that stay whatever is staged.
    """

    keep: str
    scope: tuple[str, ...] = ()
    blank: Literal["", 0] | None = None
    clears_all: bool = False
    row_version: str | None = None
    kept: Kept | None = None

    @property
    def write_disposition(self) -> TWriteDispositionConfig:
        """The write disposition for dlt.

        Also for tables that are replaced as a whole: unlike dlt's own `replace`, it deletes and
        inserts in one transaction on every SQL destination.
        """
        if self.row_version is not None:
            return {
                "disposition": "merge",
                "strategy": "scd2",
                "row_version_column_name": self.row_version,
                "destination_scope": self._deleted,
                "source_filter": self._is_row,
            }
        return {
            "disposition": "merge",
            "strategy": "delete-insert",
            "destination_scope": self._deleted,
            "source_filter": self._is_row,
        }

    def tombstones(self, schema: pa.Schema, **scope: Sequence[Any]) -> pa.Table:
        """Tombstones, one for each of the values to delete.

        Args:
            schema: of the staged rows.
            scope: for each column of `scope` the values to delete, as many in each; none for a
                replacement of all rows, which takes one tombstone.

        Raises:
            ValueError: values of another column, or of too few: nothing would be deleted.
        """
        if {*scope} != {*self.scope} - {self.keep}:
            raise ValueError(f"tombstones are of {self.scope}, not of {(*scope,)}")
        rows = len(next(iter(scope.values()), [None]))
        columns: dict[str, Sequence[Any]] = {
            field.name: [None if field.nullable else _BLANKS.get(field.type)] * rows
            for field in schema
        }
        columns |= {self.keep: [self.blank] * rows, **scope}
        mark = {_MARK: json.dumps([self.keep, self.blank])}
        return pa.Table.from_pydict(columns, schema=schema.with_metadata(mark))

    def tombstone_row(self) -> TombstoneRow:
        """A tombstone for a table that is replaced as a whole and loaded as dicts."""
        return TombstoneRow({self.keep: self.blank})

    @property
    def _deleted(self) -> str:
        """The SQL condition on stored rows, with the placeholders that dlt fills in."""
        if not self.scope:
            return "1 = 1"
        columns = ", ".join(self.scope)
        stored = f"({columns})" if len(self.scope) > 1 else columns
        condition = f"{stored} IN (SELECT {columns} FROM {{staging_table}})"  # noqa: S608 - our own names
        if self.clears_all:
            tombstone = f"{self.keep} {_COMPARISONS[self.blank][1]}"
            condition += f" OR EXISTS (SELECT 1 FROM {{staging_table}} WHERE {tombstone})"  # noqa: S608 - as above
        if self.kept is not None:
            condition = f"({condition}) AND {self.kept.column} NOT IN ({self._kept_values})"
        return condition

    @property
    def _is_row(self) -> str:
        """The SQL condition on staged rows that are inserted."""
        is_row = f"{self.keep} {_COMPARISONS[self.blank][0]}"
        if self.kept is None:
            return is_row
        column, _, key, table = self.kept
        stored = f"SELECT {key} FROM {table} WHERE {column} IN ({self._kept_values})"  # noqa: S608 - as above
        # rows of all days: a kept row may be stored under another day than it has now
        return f"{is_row} AND {key} NOT IN ({stored})"

    @property
    def _kept_values(self) -> str:
        values = self.kept.values if self.kept else ()
        return ", ".join(f"CAST('{value}' AS date)" for value in values)


def without_tombstones(rows: pa.Table) -> pa.Table:
    """Rows for a destination that replaces nothing, where a tombstone would stay as a row.

    Args:
        rows: among them tombstones, if the schema has the metadata of `Replacement.tombstones`.
    """
    mark = (rows.schema.metadata or {}).get(_MARK)
    if mark is None:
        return rows
    keep, blank = json.loads(mark)
    values = rows[keep]
    return rows.filter(pc.is_valid(values) if blank is None else pc.not_equal(values, blank))
