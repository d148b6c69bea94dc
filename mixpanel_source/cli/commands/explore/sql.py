"""`mixpanel-source sql`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ....errors import ConfigError, MixpanelError
from ...exit_codes import DONE
from ...options import add_target, parse_duration
from ...output import complain, print_errors
from ...parser import Commands, add_command
from ...rows import FORMATS, print_rows
from ...startup import fast_imports
from .foreground import run_in_foreground

if TYPE_CHECKING:
    from ....destinations.queries import Queries, QueryLimits

ROWS = 1_000
SECONDS = 60.0
PROMPT, MORE = "sql> ", "  -> "
HELP = "A statement ends with a semicolon; Ctrl-D leaves. Only the loaded tables can be read."


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Query what is loaded, read-only: one SELECT statement, or a shell without one; sends no "
        "request."
    )
    parser = add_command(commands, "sql", run, summary=summary)
    parser.add_argument(
        "statement", nargs="?", metavar="SQL", help="a SELECT statement; - reads standard input"
    )
    parser.add_argument(
        "--format",
        choices=("auto", *FORMATS),
        default="auto",
        help="auto: table on a terminal, otherwise csv (default: auto)",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=ROWS,
        metavar="ROWS",
        help=f"maximum rows of a result; 0: all (default: {ROWS})",
    )
    parser.add_argument(
        "--timeout",
        type=parse_duration,
        default=SECONDS,
        metavar="DURATION",
        help=f"maximum time of a query (default: {SECONDS:g}s)",
    )
    parser.add_argument(
        "--harlequin",
        action="store_true",
        help="open the DuckDB file in Harlequin instead, read-only; needs pip install harlequin",
    )
    add_target(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    if options.limit < 0:
        raise ConfigError(f"--limit is {options.limit}; give a number of rows, or 0 for all.")
    if options.harlequin:
        return _run_harlequin(options)
    with fast_imports():
        from ....commands.query import open_queries
        from ....destinations.queries import QueryLimits

    queries = open_queries(options.destination, dataset=options.dataset, name=options.pipeline)
    limits = QueryLimits(rows=options.limit or None, seconds=options.timeout)
    if options.statement is None and sys.stdin.isatty():
        return _run_shell(queries, limits, options)
    statement = options.statement
    if statement in (None, "-"):
        statement = sys.stdin.read()
    _print_result(queries, statement, limits, options)
    return DONE


def _print_result(
    queries: Queries, statement: str, limits: QueryLimits, options: argparse.Namespace
) -> None:
    result = queries.run(statement, limits)
    print_rows(result, options.format)
    if result.truncated:
        complain(f"These are the first {limits.rows:,} rows; --limit 0 shows all.")


def _run_shell(queries: Queries, limits: QueryLimits, options: argparse.Namespace) -> int:
    with suppress(ImportError):  # Windows has none
        import readline  # noqa: F401 - gives `input` a history
    print(HELP)
    for statement in _read_statements():
        try:
            _print_result(queries, statement, limits, options)
        except MixpanelError as error:
            print_errors([error], debug=options.debug)
        except KeyboardInterrupt:
            complain("Cancelled.")
    return DONE


def _read_statements() -> Iterator[str]:
    """The statements that are typed, each up to a semicolon at the end of a line."""
    lines: list[str] = []
    while True:
        try:
            lines.append(input(MORE if lines else PROMPT))
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            lines = []
            continue
        text = "\n".join(lines).strip()
        if not text:
            lines = []
        elif text.lower().rstrip(";") in {"exit", "quit", "\\q"}:
            return
        elif text.endswith(";"):
            lines = []
            yield text


def _run_harlequin(options: argparse.Namespace) -> int:
    with fast_imports():
        from ....commands.query import find_file

    if find_spec("harlequin") is None:
        raise ConfigError("Harlequin is not installed: pip install harlequin.")
    file = find_file(options.destination, dataset=options.dataset, name=options.pipeline)
    command = [sys.executable, "-m", "harlequin", "--adapter", "duckdb", "--read-only", str(file)]
    return run_in_foreground(command)
