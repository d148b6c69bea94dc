"""What a load deletes from a table of a lake and what it inserts, as SQL conditions.

They are those that a SQL database gets, see `replacement`; here they select from two views: the
rows of the table and the rows of the load package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dlt.common.schema.utils import (
    get_columns_names_with_prop,
    get_first_column_name_with_prop,
    get_validity_column_names,
)

from ...sql import quote_name
from ..conditions import Conditions, conditions_of
from .arrow import PARTITION

STORED = "stored_rows"
"""Name of the view of a table's rows, or of those of some days."""
STAGED = "staged_rows"
"""Name of the view of the rows of the load package."""
_DAYS = f"{PARTITION} IN (SELECT {PARTITION} FROM {{staging_table}})"


class History(NamedTuple):
    """How a load changes a table whose rows are closed, and not deleted (type 2)."""

    begins: str
    """Column with the time from which a row is valid; quoted, as the next."""
    ends: str
    """Column with the time at which it was closed, null while it is valid."""
    is_gone: str
    """Which stored rows to close."""
    is_new: str
    """Which staged rows to insert."""


def replaced_rows(table: Mapping[str, Any]) -> Conditions | None:
    """Which stored rows a load deletes and which staged rows it inserts; None if it only inserts.

    Args:
        table: schema that dlt has prepared for a load; not of a history.
    """
    disposition = table["write_disposition"]
    if disposition == "replace":
        return Conditions("true", "true")
    if disposition == "append":
        return None
    declared = conditions_of(table)
    if declared is not None:
        return declared
    schema: Any = table
    for hint in ("primary_key", "merge_key"):
        names = ", ".join(map(quote_name, get_columns_names_with_prop(schema, hint)))
        if names:
            # of staged rows with the same primary key, any
            only = f"true QUALIFY row_number() OVER (PARTITION BY {names}) = 1"
            scope = f"({names}) IN (SELECT ({names}) FROM {{staging_table}})"
            return Conditions(scope, only if hint == "primary_key" else "true")
    return None


def selects_days(conditions: Conditions) -> bool:
    """Whether the rows that are deleted are all of days that the package has rows of."""
    return conditions.scope.startswith((_DAYS, f"({_DAYS})"))


def history_of(table: Mapping[str, Any], *, name: str) -> History | None:
    """How a load changes a table that keeps a history; None if it keeps none.

    Args:
        table: schema that dlt has prepared for a load.
        name: qualified name of the table, as SQL.
    """
    if table.get("x-merge-strategy") != "scd2":
        return None
    schema: Any = table
    begins, ends = (quote_name(str(column)) for column in get_validity_column_names(schema))
    version = quote_name(str(get_first_column_name_with_prop(schema, "x-row-version")))
    scope = (table.get("x-merge-destination-scope") or "true").format(
        table=name, staging_table=STAGED
    )
    keep = table.get("x-merge-source-filter") or "true"
    served = f"SELECT {version} FROM {STAGED} WHERE {keep}"
    valid = f"SELECT {version} FROM {STORED} WHERE {ends} IS NULL"
    return History(
        begins,
        ends,
        is_gone=f"{ends} IS NULL AND ({scope}) AND {version} NOT IN ({served})",
        is_new=f"({keep}) AND {version} NOT IN ({valid})",
    )
