"""Runs one query in a DuckDB file: `python -m mixpanel_source.destinations.duckdb.query_process`.

A process of its own, because DuckDB can interrupt a query only between the batches of rows that its
functions work on, and does not count what they allocate against its memory limit:
`SELECT repeat('x', 2000000000)` takes minutes and gigabytes. A process can be ended.

Reads a request as JSON from standard input and writes the reply as JSON to standard output.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from threading import Timer
from typing import Any, TypedDict

import duckdb

from ..queries import (
    ONE_SELECT,
    QueryLimits,
    RefusedError,
    RowTooLargeError,
    batch_rows,
    check_calls,
    collect,
    too_large,
)

SAFE = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    # a query would read variables of this program as tables
    "python_enable_replacements": "false",
    # no file is written when memory is short
    "temp_directory": "",
}
"""DuckDB's configuration, in which a query reaches nothing but the file.

Source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview.
"""
EXPLAIN = re.compile(r"\s*explain(\s+analyze)?(\s*\([^)]*\))?\s+(?P<rest>.*)", re.I | re.S)
"""EXPLAIN, and the statement that it explains and perhaps runs."""
UNSAFE_FUNCTIONS = """
    SELECT DISTINCT lower(function_name) FROM duckdb_functions()
    WHERE function_type = 'table' OR function_name = 'write_log'
"""
SAFE_FUNCTIONS = frozenset(
    (
        "duckdb_columns",
        "duckdb_constraints",
        "duckdb_databases",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "glob",
        "json_each",
        "json_tree",
        "pragma_table_info",
        "pragma_version",
        "range",
        "repeat",
        "repeat_row",
        "summary",
        "unnest",
    )
)
"""Of these, those that read nothing but the database; `glob` of files is refused by DuckDB.

Others read the memory at an address (`pandas_scan`), run a text as SQL (`query`) or change what
DuckDB does (`enable_logging`).
"""
OVERHEAD_BYTES = 768 * 1024 * 1024
"""Memory of the process beside what DuckDB counts: Python, code, buffers of results."""


class Request(TypedDict):
    """What to run, and where."""

    file: str
    schema: str
    sql: str
    rows: int | None
    seconds: float
    size: int | None
    memory_bytes: int


class Reply(TypedDict, total=False):
    """The result, or why there is none."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    truncated: bool
    refused: str
    """What to do about a statement that is refused."""
    opening: str
    """DuckDB's text: the file cannot be opened."""
    error: str
    """DuckDB's text: the query failed."""
    kind: str
    """Class of DuckDB's error."""


def run(request: Request) -> Reply:
    """Run the query of a request."""
    try:
        connection = _connect(request)
    except duckdb.Error as error:
        return {"opening": str(error), "kind": type(error).__name__}
    with connection:
        timer = Timer(request["seconds"], connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            return _run(connection, request)
        except duckdb.Error as error:
            return {"error": str(error), "kind": type(error).__name__}
        except RefusedError as error:
            return {"refused": str(error)}
        except RowTooLargeError:
            return {"refused": too_large(request["size"])}
        finally:
            timer.cancel()


def _connect(request: Request) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        **SAFE,
        "memory_limit": f"{request['memory_bytes']}B",
    }
    connection = duckdb.connect(request["file"], read_only=True, config=config)
    schema = request["schema"].replace('"', '""')
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f'SET schema = "{schema}"')
    connection.execute("SET lock_configuration = true")
    return connection


def _run(connection: duckdb.DuckDBPyConnection, request: Request) -> Reply:
    sql = request["sql"]
    explained = EXPLAIN.match(sql)
    if not _is_select(connection, explained["rest"] if explained else sql):
        return {"refused": ONE_SELECT}
    statements = connection.extract_statements(sql)
    check_calls(sql, partial(_unsafe_functions, connection))
    limits = QueryLimits(request["rows"], request["seconds"], request["size"])
    cursor = connection.execute(statements[0])
    described = cursor.description or ()
    rows, truncated = collect(_batches(cursor, batch_rows(limits)), limits)
    return {
        "columns": [column[0] for column in described],
        "types": [str(column[1]) for column in described],
        "rows": rows,
        "truncated": truncated,
    }


def _is_select(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether a text is one statement that reads; DESCRIBE, SHOW and SUMMARIZE are such, too."""
    types = [statement.type for statement in connection.extract_statements(sql)]
    return types == [duckdb.StatementType.SELECT]


def _unsafe_functions(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute(UNSAFE_FUNCTIONS).fetchall()
    return {name for (name,) in rows} - SAFE_FUNCTIONS


def _batches(
    cursor: duckdb.DuckDBPyConnection, number: int
) -> Iterator[Sequence[Sequence[object]]]:
    while batch := cursor.fetchmany(number):
        yield batch


def _limit_process(memory_bytes: int) -> None:
    """Limit the memory of this process, and keep it from writing files."""
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ImportError:
        return
    most = memory_bytes + OVERHEAD_BYTES
    for limit, value in (
        (resource.RLIMIT_DATA, most),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # the system does not have it, or a lower one is set
            resource.setrlimit(limit, (value, value))


def main() -> None:
    """Run the query of the request on standard input."""
    request: Request = json.load(sys.stdin)
    _limit_process(request["memory_bytes"])
    json.dump(run(request), sys.stdout)


if __name__ == "__main__":
    main()
