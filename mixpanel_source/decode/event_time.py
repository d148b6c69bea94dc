"""The raw `time` of an event: seconds, milliseconds or ISO 8601 text.

Pure.
"""

from __future__ import annotations

from datetime import date, datetime

import pendulum

from .json_values import INT64_END

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
REACH_DAYS = 2
"""Maximum days between the day of an event's `time` and the day Mixpanel files it under.

Both are days of a clock. Time zones are at most 26 hours apart, from UTC-12 to UTC+14, and 26 hours
touch two other days.
"""
NO_DAY = -(2**31)
"""Stands for the day of an event without a `time`."""
FIRST_DAY, LAST_DAY = (day.toordinal() - EPOCH_ORDINAL for day in (date.min, date.max))
"""In days since 1970-01-01."""
MS_FROM = 30_000_000_000
"""A `time` of this value or more is in milliseconds; in seconds it would lie in the year 2920."""


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - EPOCH_ORDINAL


def event_day(time: object) -> int | None:
    """Days since 1970-01-01 of a raw `time`, or None if it is not a time.

    Args:
        time: seconds or milliseconds since the epoch, or ISO 8601 text, which some projects serve.
    """
    if isinstance(time, str):
        moment = parse_moment(time)
        return None if moment is None else moment.toordinal() - EPOCH_ORDINAL
    if isinstance(time, bool) or not isinstance(time, (int, float)):
        return None
    if abs(time) >= INT64_END:
        return None
    seconds = time / 1000 if abs(time) >= MS_FROM else time
    return int(seconds // 86_400)


def parse_moment(text: str) -> datetime | None:
    """The instant of ISO 8601 text, in UTC but without a zone; None for other text."""
    stripped = text.strip()
    if not stripped[:1].isdigit():  # pendulum also reads durations, and "now"
        return None
    try:
        moment = pendulum.parse(stripped, exact=True)
        if isinstance(moment, pendulum.DateTime):
            return moment.in_timezone("UTC").naive()
    except (ValueError, TypeError, OverflowError):  # the last two for odd intervals and years
        return None
    if isinstance(moment, pendulum.Date):
        return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - as documented
    return None
