"""A replacement as a destination gets it from dlt: conditions in SQL.

Apart from `replacement`, which makes them, because it takes Arrow along: commands that load nothing
do without.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_COLUMNS_IN = re.compile(r"(\(\w+(?:, \w+)+\)) IN \(SELECT \w+(?:, \w+)+ FROM")
"""Compares several columns with those of a subquery."""


class Conditions(NamedTuple):
    """A replacement as dlt hands it to a destination: two SQL conditions."""

    scope: str
    """Which stored rows to delete; has the placeholders `{table}` and `{staging_table}`."""
    keep: str
    """Which staged rows to insert."""


def conditions_of(table: Mapping[str, Any]) -> Conditions | None:
    """The conditions of a table that a `Replacement` declared.

    Args:
        table: a table schema that dlt has prepared for a load.

    Returns:
        None if the table is merged by a key or keeps a history: dlt's own merge handles these.
    """
    scope, keep = table.get("x-merge-destination-scope"), table.get("x-merge-source-filter")
    if scope is None or keep is None or table.get("x-merge-strategy") != "delete-insert":
        return None
    return Conditions(scope, keep)


def with_structs(scope: str) -> str:
    """A scope for databases that compare only one column with a subquery, but also a struct.

    Args:
        scope: of a `Replacement`.
    """
    return _COLUMNS_IN.sub(r"STRUCT\1 IN (SELECT STRUCT\1 FROM", scope)
