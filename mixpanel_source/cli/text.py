"""Numbers, times and days as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def duration(seconds: float) -> str:
    """Seconds in the two largest units: `5 h 53 min`, `12 s`."""
    whole = round(seconds)
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return _two(whole, MINUTE_S, "min", 1, "s")
    if whole < 2 * DAY_S:
        return _two(whole, HOUR_S, "h", MINUTE_S, "min")
    return _two(whole, DAY_S, "days", HOUR_S, "h")


def _two(seconds: int, unit: int, name: str, below: int, below_name: str) -> str:
    large, rest = divmod(seconds, unit)
    small = rest // below
    return f"{large} {name}" + (f" {small} {below_name}" if small else "")


def clock_time(at: float) -> str:
    """An instant, in the zone of this machine."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S %Z")


def instant(at: float | datetime) -> str:
    """An instant to the minute, in UTC."""
    when = datetime.fromtimestamp(at, timezone.utc) if not isinstance(at, datetime) else at
    return when.strftime("%Y-%m-%d %H:%M UTC")


def count(number: int, thing: str) -> str:
    """A number with its noun: `1 request`, `1,234 requests`."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns that line up, two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
