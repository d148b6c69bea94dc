"""Names and texts as SQL."""

from __future__ import annotations


def quote_name(name: str) -> str:
    """A name of a schema, a table or a column."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A literal."""
    return "'" + text.replace("'", "''") + "'"
