"""Databases that dlt reaches through SQLAlchemy, such as SQLite and MySQL."""

from __future__ import annotations

from .base import Destination


class SqlAlchemy(Destination):
    """A database of any kind, which gets texts where it has a type for JSON."""

    @property
    def refusal(self) -> str:
        """Lists and objects would not be what Mixpanel sent."""
        return (
            f"{self._name} goes through SQLAlchemy, where dlt encodes JSON a second time, so that "
            "lists and objects arrive changed. Load into DuckDB or Postgres."
        )
