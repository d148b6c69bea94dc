"""Prints results and errors.

A table of results has aligned columns on a terminal. Elsewhere, in a log or a pipe, each row is one
line that says what its numbers are, so that `grep` finds it: `export: 9 rows, read 3 s ago`.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from ..errors import CancelledError, MixpanelError, one_line
from .text import count

Cell: TypeAlias = "str | int | None"
"""None and the empty text are left out."""

logger = logging.getLogger("mixpanel_source.cli")
"""Receives what is printed on standard error, where that is a log in JSON."""
logger.disabled = True
_ERROR = "error: "

GAP = 2
"""Blanks between two columns."""
TEXT_WIDTH = 14
"""Minimum characters of a column that may wrap."""


class Column(NamedTuple):
    """A column of a table of results."""

    header: str
    line: str = "{}"
    """How a cell reads in a line of text, such as `read {} ago`."""
    unit: str = ""
    """Noun of the number, for a line of text."""
    number_format: str = ","
    wraps: bool = False
    """Whether a cell may take several lines on a terminal."""

    def cell(self, value: Cell) -> str:
        """The cell on a terminal."""
        if isinstance(value, int):
            return format(value, self.number_format)
        return one_line(value or "")

    def fact(self, value: Cell) -> str:
        """The cell in a line of text."""
        number = count(value, self.unit) if self.unit and isinstance(value, int) else None
        text = number or self.cell(value)
        return text and self.line.format(text)


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, names: int = 1
) -> None:
    """Print rows on standard output.

    Args:
        columns: what the cells of each row are.
        rows: the cells, as many as columns in each row.
        names: how many columns, from the first, name what the row is about.
    """
    if rows and not (sys.stdout.isatty() and _print_aligned(columns, rows)):
        print(*(_line(columns, row, names) for row in rows), sep="\n")


def _line(columns: Sequence[Column], row: Sequence[Cell], names: int) -> str:
    facts = [column.fact(cell) for column, cell in zip(columns, row, strict=True)]
    name = " ".join(filter(None, facts[:names]))
    return f"{name}: {', '.join(filter(None, facts[names:]))}"


def _print_aligned(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> bool:
    """Print aligned columns, empty ones left out; False if the terminal is too narrow for them."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    texts: list[list[str]] = []
    width = -GAP
    for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
        column_texts = [column.cell(cell) for cell in cells]
        if not any(column_texts):
            continue
        texts.append(column_texts)
        is_number = any(isinstance(cell, int) for cell in cells)
        table.add_column(
            column.header, justify="right" if is_number else "left", no_wrap=not column.wraps
        )
        widest = max(map(cell_len, (column.header, *column_texts)))
        width += GAP + (min(widest, TEXT_WIDTH) if column.wraps else widest)
    console = Console(highlight=False, markup=False, emoji=False)
    if width > console.width:
        return False
    for row in zip(*texts, strict=True):
        table.add_row(*row)
    console.print(table)
    return True


def log_complaints(active: bool) -> None:
    """Send what `complain` prints to the log, so that standard error is a log alone."""
    logger.disabled = not active


def complain(text: str, **fields: object) -> None:
    """Print on standard error, if anything still reads it.

    Args:
        text: one or more lines.
        fields: of the record, where the log is JSON.
    """
    if not logger.disabled:
        level = logging.ERROR if text.startswith(_ERROR) else logging.WARNING
        logger.log(level, "%s", text.removeprefix(_ERROR), extra=fields)
        return
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def print_errors(errors: Iterable[MixpanelError], *, debug: bool = False, about: str = "") -> None:
    """Print one line per reason, with everything that failed for it; cancellations are no errors.

    Args:
        errors: what went wrong.
        debug: whether to print tracebacks, too.
        about: the project that they are of, in a run over several.
    """
    subjects: dict[str, list[str]] = {}
    classes: dict[str, str] = {}
    for error in errors:
        if debug:
            print_traceback(error)
            print_answer(error)
        if not isinstance(error, CancelledError):
            subjects.setdefault(error.reason, []).append(error.subject)
            classes[error.reason] = type(error).__name__
    for reason, failed in subjects.items():
        named = ", ".join(filter(None, failed))
        text = ": ".join(filter(None, (about, named, reason)))
        complain(f"{_ERROR}{text}", error=classes[reason])


def print_answer(error: MixpanelError) -> None:
    """Print all that Mixpanel said, which may hold values; the message has an excerpt."""
    if error.answer:
        complain(f"Mixpanel's answer: {error.answer}")


def print_traceback(error: BaseException) -> None:
    """Print where an error comes from; of foreign errors only the type: texts may quote values."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    for link in reversed(chain):
        frames = "".join(traceback.format_tb(link.__traceback__))
        message = f": {link}" if isinstance(link, MixpanelError) else ""
        complain(
            f"Traceback (most recent call last):\n{frames}{type(link).__qualname__}{message}\n"
        )
