"""What is taken out of a reply, or said not to be there.

Pure. A value that is not what it has to be raises a `TruncatedError`: a reply that was cut short or
replaced on its way is the likeliest cause.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

import orjson

from ..errors import TruncatedError
from .framing import Repairs, dump_json, repair_row

Numbers = Iterator[tuple[tuple[str | int, ...], float]]

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}(?![^T ])")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - on the wall of any zone
_MILLISECONDS_FROM = 1e11
"""As seconds this is the year 5138."""


def read_json(body: bytes, repairs: Repairs) -> Any:  # noqa: ANN401 - any JSON value
    """What a body says, with what no database takes repaired as in a row, and counted."""
    with suppress(orjson.JSONDecodeError):
        if b"\\u0000" not in body:
            return orjson.loads(body)
    try:
        return repair_row(b'{"reply":%b}' % body, repairs)["reply"]
    except ValueError:
        raise unexpected("JSON") from None


def take_object(value: object, what: str) -> Mapping[str, Any]:
    """An object, or an error that says what was expected."""
    if not isinstance(value, dict):
        raise unexpected(what)
    return value


def take_list(value: object, what: str) -> list[Any]:
    """A list, or an error that says what was expected."""
    if not isinstance(value, list):
        raise unexpected(what)
    return value


def part_of(reply: object, key: str) -> object:
    """What an object has under a key; None if nothing."""
    return take_object(reply, "an object").get(key)


def take_day(key: object) -> date:
    """The day of a key that has one, see `find_day`."""
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
    """The day that a time is given in, and the instant.

    Args:
        time_s: seconds, or in some replies milliseconds, since the epoch, on the wall of `zone`.
        zone: IANA name.
    """
    with suppress(TypeError, ValueError, OverflowError):
        seconds = float(time_s)  # type: ignore[arg-type]
        seconds = seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds
        local = _EPOCH + timedelta(seconds=seconds)
        return local.date(), local.replace(tzinfo=ZoneInfo(zone)).astimezone(timezone.utc)
    raise unexpected("a list of events with a time")


def iter_numbers(value: object, path: tuple[str | int, ...] = ()) -> Numbers:
    """Each number below, with the keys and positions that lead to it."""
    if is_number(value):
        yield path, to_float(value)
        return
    parts = value.items() if isinstance(value, dict) else ()
    for part, inner in enumerate(value) if isinstance(value, list) else parts:
        yield from iter_numbers(inner, (*path, part))


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def to_float(number: float) -> float:
    """A number as a column of doubles holds it."""
    try:
        return float(number)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if number > 0 else -math.inf


def text_of(value: object) -> str:
    """Text as it is, other values as JSON."""
    return value if isinstance(value, str) else dump_json(value)


def unexpected(what: str) -> TruncatedError:
    """What to raise at a reply that is not `what`."""
    return TruncatedError(f"the reply is not {what}")
