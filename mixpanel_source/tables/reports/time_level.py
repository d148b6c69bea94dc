"""Which level of a saved report is time.

Pure. A saved report nests its numbers by metric, by the values of each breakdown and by time. The
reply names the levels in `headers`, all but the one of time, which is the innermost; in saved
retention reports it comes before the breakdowns. A report that is no time series has the key `all`
in its place, or nothing.

Values of a property may be dates as well, so a key that looks like one proves nothing. What decides
is the number of levels, then which level has nothing but times that look like those of
`date_range` and lie within it.

Source: https://developer.mixpanel.com/reference/insights-query, and replies that users published.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from ...decode.reply_values import find_day
from .measures import AVERAGE, OVERALL

ALL = "all"
"""Key in place of the time, in a report that is no time series."""
LAST = -1
"""The innermost level."""

Keys = tuple[str, ...]

_OFFSET = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$")
_TIME_HEADERS = ("time", "date")
_UNNAMED = ("$retention", "$funnel")
"""Headers of saved reports of other types, which do not name every level."""
_LONGEST_BUCKET = timedelta(days=366)


class Frame(NamedTuple):
    """What a reply says of its levels and its time."""

    headers: Sequence[str] | None
    """Names of the levels above the time; None if the reply does not name them."""
    starts_at: str
    """`from_date` as sent, whose form the keys of time have."""
    first: date
    last: date

    def covers(self, key: str) -> bool:
        """Whether a bucket that begins on this day may overlap the range."""
        day = find_day(key)
        return day is not None and self.first - _LONGEST_BUCKET <= day <= self.last

    def has_time(self, keys: Iterable[str]) -> bool:
        """Whether the keys look like times of this report, rather than any other."""
        return all(self.covers(key) and _form(key) == _form(self.starts_at) for key in keys)


def find_time_level(paths: Collection[Keys], frame: Frame) -> int | None:
    """The level of time, counted from the outermost, or `LAST`; None if there is none.

    Args:
        paths: the keys that lead to each number.
        frame: of the reply.
    """
    named = _named_levels(paths, frame)
    if named is not None and not any(_has_all_levels(keys, named) for keys in paths):
        return _find_named_time(paths, frame)
    innermost = {
        keys[LAST] for keys in paths if keys and (named is None or _has_all_levels(keys, named))
    }
    if innermost <= {ALL}:
        return LAST
    times = _times_in(innermost - {ALL})
    depth = max(map(len, paths))
    outer = {level: _times_in(_keys_at(paths, level)) for level in range(depth - 1)}
    likely = [level for level, keys in outer.items() if keys and frame.has_time(keys)]
    # without names for the levels, nothing but the range tells a time from a value
    is_possible = bool(times) and (named is not None or all(map(frame.covers, times)))
    if is_possible and (frame.has_time(times) or not likely):
        return LAST
    if likely or named is None:
        return likely[0] if likely else None
    possible = [level for level, keys in outer.items() if keys and all(map(frame.covers, keys))]
    return possible[0] if possible else LAST


def split_time(keys: Keys, level: int | None, frame: Frame) -> tuple[Keys, str | None]:
    """The other keys, and the one of time; None if these keys have none.

    Args:
        keys: that lead to a number.
        level: of time, see `find_time_level`.
        frame: of the reply.
    """
    if level is None or not keys:
        return keys, None
    if level == LAST:
        named = _named_levels([keys], frame)
        key = keys[LAST]
        # in a reply without headers, `all` may be a value
        stands_for_time = key == AVERAGE or (key == ALL and frame.headers is not None)
        is_time = stands_for_time or find_day(key) is not None
        if is_time if named is None else _has_all_levels(keys, named):
            return keys[:LAST], key
        return keys, None
    return (*keys[:level], *keys[level + 1 :]), keys[level]


def _named_levels(paths: Iterable[Keys], frame: Frame) -> int | None:
    """How many levels the headers name; None if they do not fit the reply."""
    headers = frame.headers
    if headers is None or headers[0].lower() in _UNNAMED:
        return None
    return len(headers) if all(len(keys) <= len(headers) + 1 for keys in paths) else None


def _has_all_levels(keys: Keys, named: int) -> bool:
    """Whether there is a key below the named levels; `$overall` may stand for several of them."""
    return len(keys) == named + 1 or keys[-2:-1] == (OVERALL,)


def _find_named_time(paths: Collection[Keys], frame: Frame) -> int | None:
    """The level that the headers call time, if its keys look like that."""
    for level, name in enumerate(frame.headers or ()):
        if name.strip("$").lower() in _TIME_HEADERS:
            times = _times_in(_keys_at(paths, level))
            if times and frame.has_time(times):
                return level
    return None


def _keys_at(paths: Collection[Keys], level: int) -> set[str]:
    """The keys of a level; none if some paths are shorter."""
    if any(len(keys) <= level for keys in paths):
        return set()
    return {keys[level] for keys in paths}


def _times_in(keys: set[str]) -> set[str]:
    """The keys of a level that may be time; none if one of them cannot be."""
    times = keys - {AVERAGE}
    return times if all(find_day(key) is not None for key in times) else set()


def _form(key: str) -> tuple[bool, bool]:
    """Whether a time has hours, and an offset from UTC."""
    hours = key[10:]
    return bool(hours), bool(_OFFSET.search(hours))
