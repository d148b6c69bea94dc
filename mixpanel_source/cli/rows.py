"""Prints the result of a query: an aligned table, CSV or JSON."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import one_line

if TYPE_CHECKING:
    from ..destinations.queries import QueryResult


def print_rows(result: QueryResult, form: str) -> None:
    """Print a result on standard output.

    Args:
        result: of a query.
        form: one of `FORMATS`; `auto` is a table on a terminal and CSV elsewhere.
    """
    if form == "auto":
        form = "table" if sys.stdout.isatty() else "csv"
    FORMATS[form](result)


def _print_table(result: QueryResult) -> None:
    header = [one_line(name) for name in result.columns]
    lines = [header, *([_text(value) for value in row] for row in result.rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    numeric = [_is_numeric(cells) for cells in zip(*result.rows, strict=True)]
    numeric = numeric or [False] * len(header)
    for line in [header, ["-" * width for width in widths], *lines[1:]]:
        cells = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(cells).rstrip())


def _print_csv(result: QueryResult) -> None:
    # on a terminal, text must not control it
    shown = one_line if sys.stdout.isatty() else str
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(map(shown, result.columns))
    for row in result.rows:
        writer.writerow(None if value is None else shown(_raw_text(value)) for value in row)


def _print_json(result: QueryResult) -> None:
    print(
        json.dumps(
            {
                "columns": [*result.columns],
                "types": [*result.types],
                "rows": [[*row] for row in result.rows],
                "truncated": result.truncated,
            }
        )
    )


FORMATS: Mapping[str, Callable[[QueryResult], None]] = {
    "table": _print_table,
    "csv": _print_csv,
    "json": _print_json,
}
"""Name of a format -> what prints it."""


def _text(value: Any) -> str:  # noqa: ANN401 - a JSON value of any type
    return "" if value is None else one_line(_raw_text(value))


def _raw_text(value: Any) -> str:  # noqa: ANN401 - a JSON value of any type
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_numeric(values: tuple[Any, ...]) -> bool:
    return all(value is None or type(value) in (int, float) for value in values)
