"""PostgreSQL."""

from __future__ import annotations

from .base import Destination


class Postgres(Destination):
    """A PostgreSQL database."""

    takes_views = True
    deletes_rows = True
    comments_query = (
        "SELECT c.relname, a.attname, col_description(a.attrelid, a.attnum) "
        "FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = {schema} AND a.attnum > 0 AND NOT a.attisdropped"
    )
