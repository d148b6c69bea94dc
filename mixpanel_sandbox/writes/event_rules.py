"""Which events /import refuses, and why.

Source: https://developer.mixpanel.com/reference/import-events
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

VERBS = frozenset({"$identify", "$create_alias", "$merge"})
"""Events that merge ids in projects with the original identity model."""

PLACEHOLDERS = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "anon",
        "anonymous",
        "nil",
        "none",
        "null",
        "n/a",
        "na",
        "undefined",
        "unknown",
        "<nil>",
        "0",
        "-1",
        "true",
        "false",
        "[]",
        "{}",
    }
)
"""Values that are refused as `distinct_id` and as `$insert_id`."""

DERIVED_FROM = frozenset({"$user_id", "$device_id"})
MAX_EVENT_BYTES = 1024 * 1024
MAX_PROPERTIES = 255
MAX_ITEMS = 255
"""Maximum items of a list and keys of an object."""
MAX_DEPTH = 3
MAX_INSERT_ID_BYTES = 36
MIN_MILLISECONDS = 10**11
"""Larger times are milliseconds."""
FIRST_TIME_S = 365 * 86_400
"""1971-01-01."""
FUTURE_S = 3600
DAY_S = 86_400

_INSERT_ID = re.compile(r"[A-Za-z0-9-]+")


class Problem(NamedTuple):
    """Why an event is refused."""

    field: str
    message: str


class Rules(NamedTuple):
    """What a project accepts."""

    now_s: float
    retention_days: int | None
    is_simplified: bool = False
    """Whether `$user_id` or `$device_id` make up for a missing `distinct_id`."""


def find_problem(event: object, size: int, rules: Rules) -> Problem | None:
    """Return why an event is refused, or None.

    Args:
        event: Parsed JSON.
        size: Length of its JSON.
        rules: What the project accepts.
    """
    return next(_find_problems(event, size, rules), None)


def to_seconds(time: float) -> float:
    """Convert a time in seconds or milliseconds to epoch seconds."""
    return time / 1000 if time >= MIN_MILLISECONDS else time


def _find_problems(event: object, size: int, rules: Rules) -> Iterator[Problem]:
    if not isinstance(event, dict):
        yield Problem("", "event must be an object")
        return
    if size > MAX_EVENT_BYTES:
        yield Problem("event", f"event exceeds max limit of {MAX_EVENT_BYTES} bytes")
    name, properties = event.get("event"), event.get("properties")
    if not isinstance(name, str) or not name:
        yield _invalid("event", "must be a non-empty string")
    if not isinstance(properties, dict):
        yield _invalid("properties", "must be an object")
        return
    if name not in VERBS:
        yield from _check_time(properties.get("time"), rules)
        yield from _check_ids(properties, rules)
    yield from _check_sizes(properties)


def _check_time(time: object, rules: Rules) -> Iterator[Problem]:
    if not isinstance(time, (int, float)) or isinstance(time, bool):
        yield _invalid("properties.time", "must be specified as seconds since epoch")
        return
    seconds = to_seconds(time)
    if seconds < FIRST_TIME_S:
        yield _invalid("properties.time", "must be after 1971-01-01")
    if seconds > rules.now_s + FUTURE_S:
        yield _invalid("properties.time", "must not be in the future")
    days = rules.retention_days
    if days is not None and seconds < rules.now_s - days * DAY_S:
        yield Problem("properties.time", f"data past retention period of {days} days")


def _check_ids(properties: dict[str, Any], rules: Rules) -> Iterator[Problem]:
    distinct_id, insert_id = properties.get("distinct_id"), properties.get("$insert_id")
    is_derived = rules.is_simplified and (properties.keys() & DERIVED_FROM)
    if distinct_id is None and not is_derived:
        yield _invalid("properties.distinct_id", "must not be missing")
    if isinstance(distinct_id, str) and distinct_id in PLACEHOLDERS:
        yield _invalid("properties.distinct_id", f"must not be {distinct_id}")
    if not isinstance(insert_id, str) or not insert_id:
        yield _invalid("properties.$insert_id", "must not be missing")
    elif insert_id in PLACEHOLDERS:
        yield _invalid("properties.$insert_id", f"must not be {insert_id}")
    elif len(insert_id.encode()) > MAX_INSERT_ID_BYTES:
        yield _invalid("properties.$insert_id", f"must be at most {MAX_INSERT_ID_BYTES} bytes")
    elif not _INSERT_ID.fullmatch(insert_id):
        yield _invalid("properties.$insert_id", "must be alphanumeric or hyphens")


def _check_sizes(properties: dict[str, Any]) -> Iterator[Problem]:
    if len(properties) > MAX_PROPERTIES:
        yield _invalid("properties", f"must have at most {MAX_PROPERTIES} properties")
    for name, value in properties.items():
        if isinstance(value, (dict, list)):
            yield from _check_nested(f"properties.{name}", value, 1)


def _check_nested(field: str, value: object, depth: int) -> Iterator[Problem]:
    if not isinstance(value, (dict, list)):
        return
    if len(value) > MAX_ITEMS:
        yield _invalid(field, f"must have at most {MAX_ITEMS} items")
    if isinstance(value, dict) and depth > MAX_DEPTH:
        yield _invalid(field, f"must be nested at most {MAX_DEPTH} levels deep")
        return
    for item in value.values() if isinstance(value, dict) else value:
        yield from _check_nested(field, item, depth + isinstance(value, dict))


def _invalid(field: str, reason: str) -> Problem:
    return Problem(field, f"'{field}' is invalid: {reason}")
