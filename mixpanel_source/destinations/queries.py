"""Read-only SQL queries: their limits, their results, and what every destination shares of them.

Needs the standard library only, because the process that runs a query for DuckDB imports it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

ONE_SELECT = "Give one SELECT statement: queries only read, and run one at a time."
"""What to do about a statement that is refused."""


class QueryLimits(NamedTuple):
    """How much a query may take and return."""

    rows: int | None = 1_000
    """Maximum rows of the result; None for all."""
    seconds: float = 30.0
    size: int | None = None
    """Maximum characters of the result as JSON; None for any size."""


@dataclass(frozen=True)
class QueryResult:
    """The rows of a query, as JSON values."""

    columns: Sequence[str]
    types: Sequence[str]
    """Of the columns, as the database calls them."""
    rows: Sequence[Sequence[Any]]
    truncated: bool = False
    """Whether there are more rows than the limits allow."""


class Queries(Protocol):
    """Runs read-only queries in a database, each in a connection of its own.

    No connection stays open between two queries, because a job cannot load into a DuckDB file that
    another process has open.
    """

    @property
    def schema(self) -> str:
        """Name of the schema with the tables of the dataset."""

    def run(self, sql: str, limits: QueryLimits) -> QueryResult:
        """Run one SELECT statement.

        Args:
            sql: the statement; names without a schema are those of the dataset.
            limits: of the result and of the time.

        Raises:
            ConfigError: the statement is refused, because it may do more than read the database.
            BusyError: the database is open in another process, which has exclusive access.
            MixpanelError: the query failed or takes too long.
        """


_CALLED = re.compile(r'([\w$]+)"?\s*(?=\(|/\*|--)')
"""A word that may be called: a parenthesis follows, or a comment that may hide one."""
_ESCAPED_NAME = re.compile(r'\bu&"', re.IGNORECASE)


def check_calls(sql: str, find_unsafe: Callable[[], Collection[str]]) -> None:
    """Refuse a statement that may call one of some functions.

    The whole text is searched, strings and comments too, so no way of writing a name hides it.
    Functions that run SQL which they get as text must be among the unsafe ones.

    Args:
        sql: the statement.
        find_unsafe: returns the names of unsafe functions, in lower case.

    Raises:
        RefusedError: it may; the message names the function.
    """
    if _ESCAPED_NAME.search(sql):
        raise RefusedError('Names with escapes, U&"...", are refused. Write the name itself.')
    text = sql.lower()
    called = {*_CALLED.findall(text)}
    if not called and '"' not in text:
        return
    unsafe = {*find_unsafe()}
    # a name that is no word is in the text as it is, in quotes
    odd = {name for name in unsafe if not re.fullmatch(r"[\w$]+", name)}
    found = called & unsafe | {name for name in odd if name.replace('"', '""') in text}
    if found:
        raise RefusedError(refusal(found))


def refusal(names: Iterable[str]) -> str:
    """The message for names that a statement must not contain."""
    return (
        f"{', '.join(sorted(names))} is refused in queries, because it may do more than read the "
        "loaded tables. Leave it out."
    )


class RefusedError(Exception):
    """A statement may do more than read tables; the message says what to do."""


class RowTooLargeError(Exception):
    """The first row of a result is larger than the result may be."""


def collect(
    batches: Iterable[Sequence[Sequence[object]]], limits: QueryLimits
) -> tuple[list[list[Any]], bool]:
    """The rows within the limits, and whether there are more.

    Args:
        batches: of rows, fetched as they are consumed.
        limits: of the result.

    Raises:
        RowTooLargeError: not even the first row is within them.
    """
    rows: list[list[Any]] = []
    size = 0
    for row in _iter_rows(batches):
        if limits.rows is not None and len(rows) == limits.rows:
            return rows, True
        values = [to_json_value(value) for value in row]
        if limits.size is not None:
            size += len(json.dumps(values))
            if size > limits.size:
                if not rows:
                    raise RowTooLargeError
                return rows, True
        rows.append(values)
    return rows, False


def too_large(size: int | None) -> str:
    """The message for a row that is larger than the result may be."""
    return (
        f"A row is larger than the {size:,} characters that a result may have. Select fewer "
        "columns, or a part of a long text with substr()."
    )


def too_slow(limits: QueryLimits) -> str:
    """The message for a query that was stopped."""
    return (
        f"The query took longer than {limits.seconds:g} seconds and was stopped. Select fewer "
        "days, or aggregate less."
    )


def batch_rows(limits: QueryLimits) -> int:
    """Rows to fetch at once: one more than the result may have tells that there are more."""
    return 1_000 if limits.rows is None else min(limits.rows + 1, 1_000)


def to_json_value(value: object) -> Any:  # noqa: ANN401 - a JSON value of any type
    """A value that a database driver returns, as JSON.

    Dates and times become ISO text, bytes hexadecimal text. A decimal becomes a number if a double
    holds it exactly, otherwise text, as do the numbers that JSON does not have.
    """
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    return str(value)


def _decimal(value: Decimal) -> int | float | str:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


_CONVERSIONS: Sequence[tuple[tuple[type, ...], Callable[[Any], Any]]] = (
    ((bool, int, str, type(None)), lambda value: value),
    ((float,), lambda value: value if math.isfinite(value) else str(value)),
    ((Decimal,), _decimal),
    ((datetime, date, time), lambda value: value.isoformat()),
    ((bytes, bytearray, memoryview), lambda value: bytes(value).hex()),
    ((dict,), lambda value: {str(key): to_json_value(item) for key, item in value.items()}),
    ((list, tuple, set), lambda value: [to_json_value(item) for item in value]),
)
"""Types of values, and how each becomes JSON."""


def _iter_rows(batches: Iterable[Sequence[Sequence[object]]]) -> Iterator[Sequence[object]]:
    for batch in batches:
        yield from batch
