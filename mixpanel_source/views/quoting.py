"""Names and texts as SQL, and the properties that are put into it."""

from __future__ import annotations

from typing import NamedTuple


class Property(NamedTuple):
    """A column that values of a property are in: a row of `_mixpanel_columns`."""

    name: str
    """As Mixpanel has it."""
    column: str
    data_type: str
    """In dlt's words: text, bigint, double, bool, json, timestamp."""


def quote_name(name: str) -> str:
    """A name of a schema, a table or a column."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A literal."""
    return "'" + text.replace("'", "''") + "'"
