"""Typed parts of a decoded JSON reply.

Pure. A part of another type than expected raises `ReplyError`: the reply is whole JSON, so that the
next one would be the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

from ..errors import ReplyError
from .json_values import dump_json

Numbers = Iterator[tuple[tuple[str | int, ...], float]]

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}(?![^T ])")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local wall clock time of any zone
_MILLISECONDS_FROM = 1e11
"""A time of this value or more is in milliseconds; in seconds it would lie in the year 5138."""


def take_object(value: object, what: str) -> Mapping[str, Any]:
    """The value as an object.

    Raises:
        ReplyError: it is not `what`.
    """
    if not isinstance(value, dict):
        raise unexpected(what)
    return value


def take_list(value: object, what: str) -> list[Any]:
    """The value as a list.

    Raises:
        ReplyError: it is not `what`.
    """
    if not isinstance(value, list):
        raise unexpected(what)
    return value


def part_of(reply: object, key: str) -> object:
    """The value under a key of an object, or None.

    Raises:
        ReplyError: `reply` is not an object.
    """
    return take_object(reply, "an object").get(key)


def take_day(key: object) -> date:
    """The day of a key, see `find_day`.

    Raises:
        ReplyError: the key has no day.
    """
    found = find_day(key)
    if found is None:
        raise unexpected("numbers by date")
    return found


def find_day(key: object) -> date | None:
    """The day of `2026-01-31`, `2026-01-31 14:00:00` or `2026-01-31T00:00:00-07:00`, as written."""
    found = _DAY.match(key) if isinstance(key, str) else None
    with suppress(ValueError):
        return date.fromisoformat(found[0]) if found else None
    return None


def take_moment(time_s: object, zone: str) -> tuple[date, datetime]:
    """The local day of a time, and its instant in UTC.

    Args:
        time_s: seconds, or in some replies milliseconds, since the epoch, on the wall clock of
            `zone`.
        zone: IANA name.

    Raises:
        ReplyError: it is not a number, or out of the range of dates.
    """
    with suppress(TypeError, ValueError, OverflowError):
        seconds = float(time_s)  # type: ignore[arg-type]
        seconds = seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds
        local = _EPOCH + timedelta(seconds=seconds)
        return local.date(), local.replace(tzinfo=ZoneInfo(zone)).astimezone(timezone.utc)
    raise unexpected("a list of events with a time")


def iter_numbers(value: object, path: tuple[str | int, ...] = ()) -> Numbers:
    """Yields each number at any depth, after the keys and positions that lead to it."""
    if is_number(value):
        yield path, to_float(value)
        return
    parts = value.items() if isinstance(value, dict) else ()
    for part, inner in enumerate(value) if isinstance(value, list) else parts:
        yield from iter_numbers(inner, (*path, part))


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def to_float(number: float) -> float:
    """A number as a column of doubles holds it; an infinity beyond their range."""
    try:
        return float(number)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if number > 0 else -math.inf


def text_of(value: object) -> str:
    """Text unchanged, other values as JSON."""
    return value if isinstance(value, str) else dump_json(value)


def unexpected(what: str) -> ReplyError:
    """The error for a reply that is not `what`."""
    return ReplyError(f"the reply is not {what}")
