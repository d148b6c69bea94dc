"""Formats numbers, durations and times for people."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone

from ..errors import one_line

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def duration(seconds: float) -> str:
    """Seconds in their two largest units: `5 h 53 min`, `12 s`."""
    whole = round(seconds)
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return _two_units(whole, MINUTE_S, "min", 1, "s")
    if whole < 2 * DAY_S:
        return _two_units(whole, HOUR_S, "h", MINUTE_S, "min")
    return _two_units(whole, DAY_S, "days", HOUR_S, "h")


def _two_units(seconds: int, unit: int, name: str, smaller: int, smaller_name: str) -> str:
    large, rest = divmod(seconds, unit)
    small = rest // smaller
    return f"{large} {name}" + (f" {small} {smaller_name}" if small else "")


def clock_time(at: float) -> str:
    """The time of day of an instant (epoch seconds), in the zone of this machine."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S %Z")


def instant(at: float | datetime) -> str:
    """An instant (epoch seconds or aware), to the minute, in UTC."""
    when = datetime.fromtimestamp(at, timezone.utc) if not isinstance(at, datetime) else at
    return when.strftime("%Y-%m-%d %H:%M UTC")


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 request`, `1,234 requests`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def for_terminal(chunks: Iterable[bytes]) -> Iterator[str]:
    """Text in pieces, with escapes for what a terminal would obey; line breaks and tabs stay."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    for chunk in chunks:
        yield "".join(char if char in "\n\t" else one_line(char) for char in decode(chunk))
