"""Shows the progress of a job on a terminal: a line for each selected table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import MixpanelError, one_line
from ..progress import Progress
from .exit_codes import INTERRUPTED, LATER
from .text import clock_time, count, duration

if TYPE_CHECKING:
    from rich.console import Console

    from ..tables.package import TablePart

Forecast = Callable[[str, int], float]
"""(table, requests still needed) -> seconds that the quota makes them take."""

REFRESHES_PER_SECOND = 4
STOPS = {LATER: "paused", INTERRUPTED: "cancelled"}
"""Exit code of an error -> state of a table that ended with it; "failed" for all others."""


@dataclass
class Line:
    """What is known of one table."""

    began_at: float | None = None
    """Epoch seconds of its first progress event."""
    detail: str = ""
    """What is being fetched; empty if nothing is."""
    days: int = 0
    days_done: int = 0
    windows_done: int = 0
    rows: int = 0
    size: int = 0
    """Uncompressed bytes of the complete windows."""
    received: int = 0
    """Bytes of the current reply so far, as they travel."""
    waits_until: float = 0.0
    waits_for_quota: bool = False
    is_loading: bool = False
    outcome: str = ""
    """How a table ended that is not done."""

    def state(self, now: float) -> str:
        """What happens to the table now."""
        if self.outcome:
            return self.outcome
        if self.began_at is None:
            return "queued"
        if self.waits_until > now:
            reason = "waiting for the quota until" if self.waits_for_quota else "retrying at"
            return f"{reason} {clock_time(self.waits_until)} ({duration(self.waits_until - now)})"
        if self.is_loading:
            return "loading"
        if self.detail:
            return f"fetching {self.detail}, {self.received / 1e6:,.1f} MB"
        return "done"


class Board(Progress):
    """Keeps a line for each selected table up to date."""

    def __init__(
        self, tables: Iterable[str], *, now: Callable[[], float], forecast: Forecast
    ) -> None:
        """Start with all tables queued.

        Args:
            tables: the selected tables, in the order they are loaded.
            now: the current time in epoch seconds.
            forecast: estimates how long requests take at the quota.
        """
        self._now = now
        self._forecast = forecast
        self.lines = {table: Line() for table in tables}

    def days_planned(self, table: str, days: int) -> None:
        """Note how many days are left."""
        line = self._line(table)
        line.days = line.days_done + days

    def request_sent(self, table: str, detail: str) -> None:
        """Show what is being fetched."""
        line = self._line(table)
        line.detail, line.received, line.waits_until = detail or "list", 0, 0.0

    def bytes_received(self, table: str, size: int) -> None:
        """Count the bytes of the current reply."""
        self._line(table).received += size

    def waiting(self, table: str, until: float, *, for_quota: bool) -> None:
        """Show a wait."""
        line = self._line(table)
        line.waits_until, line.waits_for_quota = until, for_quota

    def window_loaded(self, table: str, *, days: int, rows: int, size: int) -> None:
        """Count a window."""
        line = self._line(table)
        line.windows_done += 1
        line.days_done += days
        line.rows += rows
        line.size += size

    def package_loading(self, table: str) -> None:
        """Show that the destination is loading."""
        self._line(table).is_loading = True

    def package_loaded(self, table: str) -> None:
        """Show that the destination has finished."""
        line = self._line(table)
        line.is_loading = False
        # with days left the next window may already be on its way
        if line.days_done >= line.days:
            line.detail = ""

    def job_ended(self, failures: Mapping[TablePart, MixpanelError]) -> None:
        """Show which tables are not done, or not in all their parts."""
        failed_parts = [table for table, part in failures if part]
        for table in failed_parts:
            number = failed_parts.count(table)
            self._line(table).outcome = f"done, but {count(number, 'part')} failed"
        for (table, part), error in failures.items():
            if not part:
                self._line(table).outcome = STOPS.get(error.exit_code, "failed")

    def cells(self) -> list[list[str]]:
        """The cells of each line."""
        now = self._now()
        return [self._cells(table, line, now) for table, line in self.lines.items()]

    def _cells(self, table: str, line: Line, now: float) -> list[str]:
        if line.began_at is None:
            return [table, "", "", "", "", "", line.state(now)]
        return [
            table,
            f"{line.days_done:,} of {line.days:,} days" if line.days else "",
            f"{line.rows:,} rows",
            f"{line.size / 1e6:,.1f} MB",
            f"{line.rows / max(now - line.began_at, 0.1):,.0f} rows/s",
            self._time_left(table, line, now - line.began_at),
            one_line(line.state(now)),
        ]

    def _time_left(self, table: str, line: Line, elapsed_s: float) -> str:
        days = line.days - line.days_done
        if not line.days_done or days <= 0 or line.outcome:
            return ""
        at_this_rate_s = elapsed_s / line.days_done * days
        requests = -(-days * line.windows_done // line.days_done)
        return f"{duration(max(at_this_rate_s, self._forecast(table, requests)))} left"

    def _line(self, table: str) -> Line:
        line = self.lines.setdefault(table, Line())
        if line.began_at is None:
            line.began_at = self._now()
        return line


@contextmanager
def shown(board: Board, logger: logging.Logger) -> Iterator[None]:
    """Draw a board on standard error, several times a second.

    Args:
        board: what to draw.
        logger: its warnings go above the lines, where they do not disturb the picture.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    def draw() -> Table:
        grid = Table.grid(padding=(0, 2))
        # on a narrow terminal other cells wrap, names do not
        grid.add_column(no_wrap=True)
        for row in board.cells():
            grid.add_row(*row)
        return grid

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    handler = _PrintAbove(console)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with Live(console=console, get_renderable=draw, refresh_per_second=REFRESHES_PER_SECOND):
            yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


class _PrintAbove(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(record.getMessage())
