"""How a job goes, as a line of text for each table; what shows it is `live`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..progress import Progress
from .text import clock_time, duration

Forecast = Callable[[str, int], float]
"""From a table and the requests it still needs to the seconds that the quota makes them take."""


@dataclass
class Line:
    """What is known of one table."""

    began_at: float
    what: str = ""
    """What is being fetched."""
    days: int = 0
    days_done: int = 0
    windows_done: int = 0
    rows: int = 0
    size: int = 0
    """Uncompressed bytes of the windows done."""
    coming: int = 0
    """Bytes of the window that is being fetched, as they travel."""
    waits_until: float = 0.0
    waits_for_quota: bool = False
    loads: bool = False

    def state(self, now: float) -> str:
        """What it does now."""
        if self.waits_until > now:
            why = "waits for the quota until" if self.waits_for_quota else "tries again at"
            return f"{why} {clock_time(self.waits_until)} ({duration(self.waits_until - now)})"
        if self.loads:
            return "loading"
        return f"fetching {self.what}, {self.coming / 1e6:,.1f} MB" if self.what else "done"


class Board(Progress):
    """Keeps a line for each table."""

    def __init__(self, now: Callable[[], float], forecast: Forecast) -> None:
        """Start empty.

        Args:
            now: the time, seconds since the epoch.
            forecast: how long requests take at the quota.
        """
        self._now = now
        self._forecast = forecast
        self.lines: dict[str, Line] = {}

    def days_planned(self, table: str, days: int) -> None:
        """Note the days to come."""
        line = self._line(table)
        line.days = line.days_done + days

    def request_sent(self, table: str, detail: str) -> None:
        """Show what is being fetched."""
        line = self._line(table)
        line.what, line.coming, line.waits_until = detail or "list", 0, 0.0

    def bytes_received(self, table: str, size: int) -> None:
        """Count bytes."""
        self._line(table).coming += size

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
        self._line(table).loads = True

    def package_loaded(self, table: str) -> None:
        """Show that the destination has finished."""
        line = self._line(table)
        line.loads = False
        if line.days_done >= line.days:
            line.what = ""

    def texts(self) -> list[list[str]]:
        """A row of cells for each table."""
        now = self._now()
        return [
            [
                table,
                f"{line.days_done:,} of {line.days:,} days" if line.days else "",
                f"{line.rows:,} rows",
                f"{line.size / 1e6:,.1f} MB",
                f"{line.rows / max(now - line.began_at, 0.1):,.0f} rows/s",
                self._left(table, line, now),
                line.state(now),
            ]
            for table, line in self.lines.items()
        ]

    def _left(self, table: str, line: Line, now: float) -> str:
        days = line.days - line.days_done
        if not line.days_done or days <= 0:
            return ""
        at_this_rate_s = (now - line.began_at) / line.days_done * days
        requests = -(-days * line.windows_done // line.days_done)
        return f"{duration(max(at_this_rate_s, self._forecast(table, requests)))} left"

    def _line(self, table: str) -> Line:
        if table not in self.lines:
            self.lines[table] = Line(began_at=self._now())
        return self.lines[table]
