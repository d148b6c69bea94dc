"""What a database says of a failure, without the values that it quotes.

Kept are the class of the error, its SQLSTATE and the names of table, column and constraint. The
message is kept up to the first quotation that is not the name of such an object: databases quote
values of rows in the same way.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_DRIVERS = ("psycopg2", "adbc_driver_manager", "_duckdb", "duckdb")
"""Packages whose exceptions are a database's own words."""
_SEVERITY = re.compile(r"^.*\b(?:ERROR|FATAL|PANIC):\s+", re.DOTALL)
_NOUNS = "table|relation|column|constraint|index|schema|database|name|type|sequence|function"
_NAME = re.compile(
    rf"""NOT NULL constraint failed: .+|\b(?:{_NOUNS}) (["'])[^"'\n]*\1""", re.IGNORECASE
)
_QUOTE = re.compile(r"""\"|(?<!\w)'""")
"""Begins a quotation; an apostrophe within a word does not. dlt quotes its own terms in `."""
_BARE = re.compile(r"(?<=\bwith value ).*?(?= can't| cannot|$)|(?<![\w.])[-+]?\d[^\s,;:)]*")
"""A value that is not quoted: a number, or what DuckDB cannot cast."""
_COLUMNS = (
    re.compile(r"COPY [^\s,]+, line \d+, column ([^\s:,]+)"),
    re.compile(r'^Constraint Error: Duplicate key "(\w+): '),
)
"""Where PostgreSQL, in the context of a COPY, and DuckDB name a column."""
_REASONS = sorted(map(os.strerror, errno.errorcode), key=len, reverse=True)
"""What the operating system says, which databases append to the names of files."""


@dataclass(frozen=True)
class Failure:
    """An error of a database driver."""

    kind: str
    """Class of the error, such as `NotNullViolation`."""
    message: str
    """Without values."""
    sqlstate: str = ""
    names: Mapping[str, str] | None = None
    """`table`, `column` and `constraint` -> its name, as far as the database tells them."""

    def __str__(self) -> str:
        """For people, without a full stop."""
        state = f", SQLSTATE {self.sqlstate}" if self.sqlstate else ""
        names = "".join(f", {noun} {name}" for noun, name in (self.names or {}).items())
        return f"{self.message} ({self.kind}{state}{names})"


def find_failure(error: BaseException | None) -> Failure | None:
    """The error of a driver that caused an error of dlt; None if no driver did."""
    causes = [cause for cause in iter_causes(error) if _is_of_driver(cause)]
    return _read(causes[-1]) if causes else None


def hide_values(text: str) -> str:
    """A message up to the first quotation that may be a value, and without numbers."""
    line = (text.strip() or " ").splitlines()[0].strip()
    kept, position = "", 0
    for name in _NAME.finditer(line):
        between = line[position : name.start()]
        if _QUOTE.search(between):
            break
        kept += _BARE.sub("...", between) + name.group()
        position = name.end()
    rest = line[position:]
    quote = _QUOTE.search(rest)
    kept += _BARE.sub("...", rest[: quote.start()] + "..." if quote else rest)
    reason = next((reason for reason in _REASONS if reason in line and reason not in kept), "")
    return f"{kept} {reason}".strip().rstrip(".!") if reason else kept.strip()


def iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it, also where dlt keeps the cause in a field of its own."""
    while error is not None:
        yield error
        wrapped: Any = error
        error = (
            getattr(wrapped, "client_exception", None)
            or getattr(wrapped, "dbapi_exception", None)
            or getattr(wrapped, "inner_exc", None)
            or error.__cause__
        )


def _is_of_driver(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in _DRIVERS


def _read(error: Any) -> Failure:  # noqa: ANN401 - each driver has errors of its own
    fields = _fields(error)
    primary = fields.get("MESSAGE_PRIMARY") or _SEVERITY.sub("", str(error), count=1)
    context = fields.get("CONTEXT") or str(error)
    columns = (found.group(1) for pattern in _COLUMNS if (found := pattern.search(context)))
    names = {
        "table": fields.get("TABLE_NAME"),
        "column": fields.get("COLUMN_NAME") or next(columns, ""),
        "constraint": fields.get("CONSTRAINT_NAME"),
    }
    return Failure(
        type(error).__name__,
        hide_values(primary),
        fields.get("SQLSTATE") or getattr(error, "sqlstate", None) or "",
        {noun: name for noun, name in names.items() if name},
    )


def _fields(error: Any) -> dict[str, str]:  # noqa: ANN401 - each driver has errors of its own
    """The fields of PostgreSQL's error message, from either of its drivers.

    Source: https://www.postgresql.org/docs/current/protocol-error-fields.html.
    """
    if diag := getattr(error, "diag", None):
        names = ("message_primary", "table_name", "column_name", "constraint_name", "sqlstate")
        return {name.upper(): getattr(diag, name) or "" for name in names}
    return {
        key.decode().removeprefix("PG_DIAG_"): value.decode(errors="replace")
        for key, value in getattr(error, "details", None) or ()
    }
