"""The lines of a board on a terminal, drawn anew a few times a second."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

DRAWN_A_SECOND = 4


@contextmanager
def shown(texts: Callable[[], list[list[str]]], loggers: list[logging.Logger]) -> Iterator[None]:
    """Show rows of cells until left; what is logged meanwhile goes above them.

    Args:
        texts: the rows as they are now.
        loggers: whose lines would tear the picture.
    """
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=False)
    live = Live(
        console=console, get_renderable=lambda: _grid(texts()), refresh_per_second=DRAWN_A_SECOND
    )
    above = _Above(console)
    for logger in loggers:
        logger.addHandler(above)
        logger.propagate = False
    try:
        with live:
            yield
    finally:
        for logger in loggers:
            logger.removeHandler(above)
            logger.propagate = True


def _grid(rows: list[list[str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for row in rows:
        grid.add_row(*row)
    return grid


class _Above(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(record.getMessage())
