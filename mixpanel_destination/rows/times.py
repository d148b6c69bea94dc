"""The `time` of an event, as milliseconds since the epoch and as a day.

Pure.
"""

from __future__ import annotations

from datetime import date, datetime, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from mixpanel_source.decode.event_time import EPOCH_ORDINAL, MS_FROM, parse_moment

MS_PER_DAY = 86_400_000


def to_milliseconds(time: object) -> int | None:
    """Milliseconds since the epoch of a raw `time`, or None if it is not a time.

    Args:
        time: seconds or milliseconds since the epoch, or ISO 8601 text.
    """
    if type(time) is int:
        return time if abs(time) >= MS_FROM else time * 1000
    if type(time) is float and abs(time) < 1e15:  # noqa: PLR2004 - also false for NaN and infinity
        return round(time if abs(time) >= MS_FROM else time * 1000)
    if isinstance(time, str):
        moment = parse_moment(time)
        if moment is not None:
            return round(moment.replace(tzinfo=timezone.utc).timestamp() * 1000)
    return None


def from_wall_clock(time_ms: int, zone: ZoneInfo) -> int:
    """The instant at which the clock of a zone shows a time.

    An hour that the clock shows twice is taken for the first one.

    Args:
        time_ms: milliseconds since the epoch, as if the clock were in UTC.
        zone: of the clock.
    """
    seconds, milliseconds = divmod(time_ms, 1000)
    try:
        shown = datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=zone)
        return int(shown.timestamp()) * 1000 + milliseconds
    except (ValueError, OverflowError, OSError):  # a year that calendars do not have
        return time_ms


def utc_date(time_ms: int | None) -> str:
    """The date in UTC, YYYY-MM-DD; empty without a time, and in years that calendars lack."""
    return "" if time_ms is None else _iso_date(time_ms // MS_PER_DAY)


@lru_cache(maxsize=4096)
def _iso_date(day: int) -> str:
    try:
        return date.fromordinal(day + EPOCH_ORDINAL).isoformat()
    except (ValueError, OverflowError):
        return ""
