"""Which events Mixpanel refuses, predicted.

Pure. Sources: https://developer.mixpanel.com/reference/import-events; the limit of retention was
seen live by others and is not documented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import constants

SECONDS_PER_DAY = 86_400
_SHORT = frozenset((int, float, bool, type(None)))


@dataclass(frozen=True)
class Period:
    """The times that the project accepts, in milliseconds since the epoch."""

    first_ms: int
    last_ms: int
    retention_days: int

    @classmethod
    def at(cls, now_s: float, retention_days: int) -> Period:
        """The period at an instant."""
        return cls(
            int((now_s - retention_days * SECONDS_PER_DAY) * 1000),
            int((now_s + constants.FUTURE_SECONDS) * 1000),
            retention_days,
        )


def find_unusual(properties: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The properties that are lists, objects or long texts: few, and all that limits are for."""
    return [
        (name, value)
        for name, value in properties.items()
        if type(value) not in _SHORT
        and (type(value) is not str or len(value) > constants.NAME_CHARACTERS_MAX)
    ]


def find_problem(
    name: str,
    properties: Mapping[str, Any],
    time_ms: int | None,
    period: Period,
    *,
    unusual: Sequence[tuple[str, Any]],
) -> tuple[str, bool]:
    """The first reason for which an event will be refused, as `field: reason`.

    Args:
        name: of the event.
        properties: parsed, as they will be sent.
        time_ms: the event's time; None if it has none.
        period: the times that the project accepts.
        unusual: see `find_unusual`.

    Returns:
        The reason, empty if there is none, and whether the event is not sent.
    """
    if not name:
        return "event: has no name", True
    if name not in constants.IDENTITY_EVENTS:
        if properties.get("distinct_id") is None:
            # Mixpanel would make one of this machine's address, and all events those of one user
            return "properties.distinct_id: is missing", True
        if problem := _required_problem(properties, time_ms, period):
            return problem, False
    return _size_problem(len(properties), unusual), False


def _required_problem(properties: Mapping[str, Any], time_ms: int | None, period: Period) -> str:
    if problem := _time_problem(time_ms, period):
        return f"properties.time: {problem}"
    distinct_id = properties["distinct_id"]
    if isinstance(distinct_id, str) and distinct_id in constants.FORBIDDEN_IDS:
        return "properties.distinct_id: is a placeholder that Mixpanel refuses"
    return ""


def _size_problem(number: int, unusual: Sequence[tuple[str, Any]]) -> str:
    if number > constants.PROPERTIES_MAX:
        return f"properties: more than {constants.PROPERTIES_MAX} properties"
    for key, value in unusual:
        if type(value) in (dict, list) and (problem := _nested_problem(value, 1)):
            return f"properties.{key}: {problem}"
    return ""


def _time_problem(time_ms: int | None, period: Period) -> str:
    if time_ms is None:
        return "is not a time"
    if time_ms < constants.FIRST_SECOND * 1000:
        return "is before 1971"
    if time_ms > period.last_ms:
        return "is in the future"
    if time_ms < period.first_ms:
        return f"is past the retention of {period.retention_days} days"
    return ""


def _nested_problem(value: Any, depth: int) -> str:  # noqa: ANN401 - any JSON value
    if len(value) > constants.PROPERTIES_MAX:
        return f"more than {constants.PROPERTIES_MAX} items"
    is_object = type(value) is dict
    if is_object and depth > constants.DEPTH_MAX:
        return f"objects are nested more than {constants.DEPTH_MAX} levels deep"
    for item in value.values() if is_object else value:
        if type(item) in (dict, list) and (found := _nested_problem(item, depth + is_object)):
            return found
    return ""
