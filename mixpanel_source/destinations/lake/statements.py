"""SQL statements that change a table, which DuckDB cannot run on files of a lake."""

from __future__ import annotations

import re
from typing import NamedTuple

_IDENTIFIER = r'(?:"(?:[^"]|"")+"|\w+)'
_CHANGE = re.compile(
    rf"""\s*(?P<verb>CREATE\ TABLE|ALTER\ TABLE|INSERT\ INTO|DELETE\ FROM|DROP\ TABLE)
    (?P<exists>\ IF(?:\ NOT)?\ EXISTS)?\s+
    (?P<path>(?:{_IDENTIFIER}\.)*)(?P<table>{_IDENTIFIER})\s*(?P<rest>.*?);?\s*""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_WHERE = re.compile(r"WHERE\b", re.IGNORECASE)


class Change(NamedTuple):
    """A statement that changes one table."""

    verb: str
    """`CREATE TABLE`, `ALTER TABLE`, `INSERT INTO`, `DELETE FROM` or `DROP TABLE`."""
    table: str
    """Its name alone, unquoted."""
    rest: str
    """What follows the name of the table."""
    if_exists: bool
    """Whether it does nothing if the table exists, or, to drop it, if it does not."""

    @property
    def condition(self) -> str:
        """Of a `DELETE`, which rows it deletes."""
        return _WHERE.sub("", self.rest, count=1).strip() or "true"

    def on(self, table: str) -> str:
        """The statement for another table, whose name is given as SQL."""
        return f"{self.verb} {table} {self.rest}"


def parse_change(statement: str) -> Change | None:
    """Parse a statement; None if it changes no table."""
    match = _CHANGE.fullmatch(statement)
    if match is None:
        return None
    name = match["table"]
    if name.startswith('"'):
        name = name[1:-1].replace('""', '"')
    return Change(match["verb"].upper(), name, match["rest"], match["exists"] is not None)
