"""A property and the column that stores it."""

from __future__ import annotations

from typing import NamedTuple


class Property(NamedTuple):
    """A column with values of a property: a row of `_mixpanel_columns`."""

    name: str
    """Name in Mixpanel."""
    column: str
    data_type: str
    """dlt data type: text, bigint, double, bool, json or timestamp."""
