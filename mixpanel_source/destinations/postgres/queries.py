"""Read-only queries in PostgreSQL.

A read-only transaction is not enough: in one, `COPY ... TO PROGRAM` starts programs, `pg_read_file`
reads files of the server and `dblink` writes through a second connection. So there are four layers:

- The statement is opened as a cursor by PL/pgSQL, which accepts a single statement that returns
  rows. Its text never reaches the parser of the protocol, which would take several.
- No function is called that may have effects outside of the statement, see `_UNSAFE_FUNCTIONS`.
  Names are searched in the whole text, as words, so that neither quotes nor comments hide any.
- A superuser gives up its rights for the transaction and becomes `pg_read_all_data`.
- The transaction is read-only, and has read a snapshot, after which that cannot be changed.

Source: https://www.postgresql.org/docs/current/sql-set-transaction.html.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from functools import partial
from threading import Timer
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError, MixpanelError
from ...sql import quote_name
from ..failures import find_failure, hide_values
from ..queries import (
    ONE_SELECT,
    QueryLimits,
    QueryResult,
    RefusedError,
    RowTooLargeError,
    batch_rows,
    check_calls,
    collect,
    refusal,
    too_large,
    too_slow,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg2.extensions import connection as Connection  # noqa: N812 - a class
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - as above

_FIRST_WORDS = ("select", "with", "values", "table", "explain")
_UNSAFE_FUNCTIONS = """
    SELECT DISTINCT lower(f.proname) FROM pg_catalog.pg_proc AS f
    JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace
    WHERE CASE WHEN n.nspname = 'pg_catalog' THEN f.provolatile = 'v' ELSE f.provolatile <> 'i' END
"""
"""Functions that may write, wait, or reach files, settings and other sessions: the volatile ones of
PostgreSQL, and of extensions and users all that may depend on more than their arguments, because
some run SQL that they are given as text."""
_SAFE_FUNCTIONS = frozenset(
    (
        "bernoulli",
        "clock_timestamp",
        "gen_random_uuid",
        "random",
        "random_normal",
        "system",
        "timeofday",
        "uuidv4",
        "uuidv7",
    )
)
"""Of these, those that only return a value, or choose rows in TABLESAMPLE."""
_SAFE_SYSTEM_NAMES = frozenset(
    (
        "pg_attribute",
        "pg_catalog",
        "pg_class",
        "pg_constraint",
        "pg_description",
        "pg_get_viewdef",
        "pg_index",
        "pg_indexes",
        "pg_indexes_size",
        "pg_matviews",
        "pg_namespace",
        "pg_relation_size",
        "pg_size_pretty",
        "pg_table_size",
        "pg_tables",
        "pg_total_relation_size",
        "pg_type",
        "pg_typeof",
        "pg_views",
    )
)
"""Of all names that begin with pg_, those that show nothing but tables, columns and sizes."""
_UNSAFE_NAMES = frozenset(("current_setting", "user_mapping_options"))
"""Further names that may show secrets."""
_OPEN = """
    DO $$ DECLARE result refcursor := 'mixpanel_result';
    BEGIN OPEN result NO SCROLL FOR EXECUTE current_setting('mixpanel.query'); END $$
"""
_SYNTAX_OR_ACCESS = "42"
"""Class of SQLSTATE of errors that name tables, columns and words of the statement only."""
_READ_ONLY = "25006"
_NO_CURSOR = "42P11"
_CANCELLED = "57014"
_GRACE_SECONDS = 5.0
_READ_ALL = "pg_read_all_data"
_READ_ALL_SINCE = 140_000
"""Version of the server that has this role first."""


class PostgresQueries:
    """Runs queries in a database, each in a connection of its own.

    Args:
        address: of the database, with credentials.
        schema: of the dataset.
        connection_error: what it means that no connection could be opened.
    """

    def __init__(
        self,
        address: str,
        schema: str,
        connection_error: Callable[[BaseException], MixpanelError],
    ) -> None:
        self._address = address
        self.schema = schema
        self._connection_error = connection_error

    def run(self, sql: str, limits: QueryLimits) -> QueryResult:
        """Run one SELECT statement; see `Queries`."""
        import psycopg2  # noqa: PLC0415 - an extra

        try:
            connection = psycopg2.connect(self._address)
        except psycopg2.OperationalError as error:
            raise self._connection_error(error) from error
        # the server ends a slow query; this is for a server that does not answer
        timer = Timer(2 * limits.seconds + _GRACE_SECONDS, connection.cancel)
        timer.daemon = True
        timer.start()
        try:
            with closing(connection), connection.cursor() as cursor:
                _prepare(connection, cursor, schema=self.schema, seconds=limits.seconds)
                check_statement(sql, partial(_unsafe_functions, cursor))
                _give_up_rights(connection, cursor)
                return _run(cursor, sql, limits)
        except psycopg2.Error as error:
            raise _query_error(error, limits) from error
        except RowTooLargeError:
            raise ConfigError(too_large(limits.size)) from None
        finally:
            timer.cancel()


def check_statement(sql: str, find_unsafe: Callable[[], Collection[str]]) -> None:
    """Refuse a statement that may do more than read tables.

    Args:
        sql: the statement.
        find_unsafe: see `check_calls`.

    Raises:
        ConfigError: it may; the message names what is refused.
    """
    first = re.match(r"[\s(]*(\w+)", _without_leading_comments(sql))
    if first is None or first.group(1).lower() not in _FIRST_WORDS or "\0" in sql:
        raise ConfigError(ONE_SELECT)
    words = {*re.findall(r"[\w$]+", sql.lower())}
    refused = {word for word in words if word.startswith("pg_")} - _SAFE_SYSTEM_NAMES
    refused |= words & _UNSAFE_NAMES
    if refused:
        raise ConfigError(refusal(refused))
    try:
        check_calls(sql, find_unsafe)
    except RefusedError as error:
        raise ConfigError(str(error)) from None


def _without_leading_comments(sql: str) -> str:
    """The text from its first word on; PostgreSQL's comments may be nested."""
    rest = sql.lstrip()
    while rest.startswith(("--", "/*")):
        if rest.startswith("--"):
            rest = rest.partition("\n")[2].lstrip()
            continue
        depth = 0
        for mark in re.finditer(r"/\*|\*/", rest):
            depth += 1 if mark.group() == "/*" else -1
            if depth == 0:
                rest = rest[mark.end() :].lstrip()
                break
        else:
            return ""
    return rest


def _prepare(connection: Connection, cursor: Cursor, *, schema: str, seconds: float) -> None:
    from psycopg2.extras import (  # noqa: PLC0415 - an extra
        register_default_json,
        register_default_jsonb,
    )

    # JSON stays as it is stored, because numbers may be longer than Python's
    register_default_json(connection, loads=lambda text: text)
    register_default_jsonb(connection, loads=lambda text: text)
    connection.set_session(readonly=True)
    connection.set_client_encoding("UTF8")
    milliseconds = max(1, math.ceil(seconds * 1000))
    for name, value in (
        ("statement_timeout", str(milliseconds)),
        ("lock_timeout", str(milliseconds)),
        ("idle_in_transaction_session_timeout", str(2 * milliseconds)),
        ("timezone", "UTC"),
        ("search_path", quote_name(schema)),
        # the texts that we quote rely on it
        ("standard_conforming_strings", "on"),
    ):
        cursor.execute("SELECT set_config(%s, %s, true)", (name, value))


def _unsafe_functions(cursor: Cursor) -> set[str]:
    cursor.execute(_UNSAFE_FUNCTIONS)
    return {name for (name,) in cursor.fetchall()} - _SAFE_FUNCTIONS - _SAFE_SYSTEM_NAMES


def _give_up_rights(connection: Connection, cursor: Cursor) -> None:
    """Make a superuser an ordinary role that may read all tables, if there is one (since 14)."""
    cursor.execute("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
    if cursor.fetchone() == (True,) and connection.server_version >= _READ_ALL_SINCE:
        cursor.execute(f"SET LOCAL ROLE {_READ_ALL}")


def _run(cursor: Cursor, sql: str, limits: QueryLimits) -> QueryResult:
    cursor.execute("SELECT set_config('mixpanel.query', %s, true)", (sql,))
    cursor.execute(_OPEN)
    number = batch_rows(limits)
    cursor.execute(f"FETCH FORWARD {number} FROM mixpanel_result")
    described = cursor.description or ()
    rows, truncated = collect(_batches(cursor, number), limits)
    return QueryResult(
        [column.name for column in described],
        _type_names(cursor, [column.type_code for column in described]),
        rows,
        truncated,
    )


def _batches(cursor: Cursor, number: int) -> Iterator[Sequence[Sequence[Any]]]:
    while batch := cursor.fetchall():
        yield batch
        cursor.execute(f"FETCH FORWARD {number} FROM mixpanel_result")


def _type_names(cursor: Cursor, codes: Sequence[int]) -> list[str]:
    cursor.execute(
        "SELECT t.oid, format_type(t.oid, NULL) FROM pg_catalog.pg_type AS t WHERE t.oid = ANY(%s)",
        ([*codes],),
    )
    names = dict(cursor.fetchall())
    return [names.get(code, "unknown") for code in codes]


def _query_error(error: Exception, limits: QueryLimits) -> MixpanelError:
    state: str = getattr(error, "pgcode", None) or ""
    if state == _CANCELLED:
        return MixpanelError(too_slow(limits))
    if state in (_READ_ONLY, _NO_CURSOR):
        return ConfigError(ONE_SELECT)
    if state.startswith(_SYNTAX_OR_ACCESS):
        diag: Any = getattr(error, "diag", None)
        text = " ".join(filter(None, (diag.message_primary, diag.message_hint)))
        return MixpanelError(f"The query failed: {text.rstrip('.')}.")
    failure = find_failure(error)
    text = failure.message if failure else hide_values(str(error))
    return MixpanelError(f"The query failed: {text}.")
