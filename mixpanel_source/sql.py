"""Names and texts as SQL."""

from __future__ import annotations

from hashlib import blake2b


def quote_name(name: str) -> str:
    """A name of a schema, a table or a column."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A literal."""
    return "'" + text.replace("'", "''") + "'"


def advisory_key(name: str) -> int:
    """The key of an advisory lock of PostgreSQL, which keeps those of each database apart."""
    digest = blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
