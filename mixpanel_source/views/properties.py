"""The properties that are put into views."""

from __future__ import annotations

from typing import NamedTuple


class Property(NamedTuple):
    """A column that values of a property are in: a row of `_mixpanel_columns`."""

    name: str
    """As Mixpanel has it."""
    column: str
    data_type: str
    """In dlt's words: text, bigint, double, bool, json, timestamp."""
