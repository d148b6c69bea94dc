"""A property and the column that stores it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..sql import quote_name

OVERFLOW_COLUMN = "other_properties"
"""Column of `export` with the properties beyond the maximum number of columns, as JSON."""


class Property(NamedTuple):
    """A column with values of a property: a row of `_mixpanel_columns`."""

    name: str
    """Name in Mixpanel."""
    column: str
    data_type: str
    """dlt data type: text, bigint, double, bool, json or timestamp."""

    @property
    def is_own(self) -> bool:
        """Whether the column has only the values of this property."""
        return self.column != OVERFLOW_COLUMN


ByName = Mapping[str, Sequence[Property]]
"""Property -> its columns; empty for an unknown one."""


def group_by_name(properties: Iterable[Property]) -> ByName:
    """The columns of each property."""
    by_name: defaultdict[str, list[Property]] = defaultdict(list)
    for item in properties:
        by_name[item.name].append(item)
    return by_name


def as_text(items: Iterable[Property]) -> str:
    """SQL for the value of a property as text, from whichever of its columns has it."""
    texts = [f"CAST({quote_name(item.column)} AS text)" for item in items if item.is_own]
    return f"coalesce({', '.join(texts)})" if texts else "CAST(NULL AS text)"
