"""The values of segmentation expressions, and what comparing, adding and casting them gives.

A value is a string, a number, a boolean, None, a list or undefined.

Source: https://developer.mixpanel.com/reference/segmentation-expressions
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, TypeGuard

Value = object

UNDEFINED = object()
"""What a property that is not there is, and a comparison that makes no sense."""

_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class WhereError(ValueError):
    """An expression the API refuses; the text says what is wrong with it."""


class Moment(float):
    """Epoch seconds that also compare with the ISO times of profiles."""


def parse_moment(value: Value) -> Moment:
    """Return the argument of `datetime()`, seconds or an ISO time (UTC without an offset).

    Raises:
        WhereError: It is neither.
    """
    if is_number(value):
        return Moment(value)
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            raise WhereError(f"not a date and time: {value}") from None
        return Moment(_in_utc(parsed).timestamp())
    raise WhereError("datetime() takes a string or a number")


def truth(value: Value) -> bool:
    """Return whether a condition holds; undefined does not.

    Raises:
        WhereError: The value is no boolean.
    """
    if value is UNDEFINED:
        return False
    if isinstance(value, bool):
        return value
    raise WhereError(f"expected true or false but found a {type(value).__name__}")


def _equal(left: Value, right: Value) -> bool:
    left, right = _align(left, right)
    return _kind(left) == _kind(right) and bool(left == right)


def _not_equal(left: Value, right: Value) -> bool:
    return not _equal(left, right)


def _in(left: Value, right: Value) -> Value:
    if isinstance(right, list):
        return any(_equal(left, item) for item in right)
    if isinstance(left, str) and isinstance(right, str):
        return left in right
    return UNDEFINED


def _ordering(name: str) -> Callable[[Value, Value], Value]:
    compare = _ORDERINGS[name]

    def ordered(left: Value, right: Value) -> Value:
        left, right = _align(left, right)
        comparable = _kind(left) == _kind(right) and _kind(left) in {"number", "str"}
        return compare(left, right) if comparable else UNDEFINED

    return ordered


def _align(left: Value, right: Value) -> tuple[Value, Value]:
    """Turn the ISO time of a profile into a moment where it meets one."""
    if isinstance(left, Moment) and isinstance(right, str):
        return left, _read_iso(right)
    if isinstance(right, Moment) and isinstance(left, str):
        return _read_iso(left), right
    return left, right


def _read_iso(text: str) -> Value:
    try:
        return _in_utc(datetime.fromisoformat(text.replace("Z", "+00:00"))).timestamp()
    except ValueError:
        return UNDEFINED


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


def is_number(value: Value) -> TypeGuard[float]:
    """Return whether a value is a number; a boolean is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _kind(value: Value) -> str:
    return "number" if is_number(value) else type(value).__name__


COMPARISONS: dict[str, Callable[[Value, Value], Value]] = {
    "==": _equal,
    "!=": _not_equal,
    "in": _in,
    **{name: _ordering(name) for name in _ORDERINGS},
}
"""What each operator gives for two values."""


def _arithmetic(operate: Callable[[Any, Any], Any]) -> Callable[[Value, Value], Value]:
    def calculated(left: Value, right: Value) -> Value:
        if not is_number(left) or not is_number(right):
            return UNDEFINED
        try:
            result: Value = operate(left, right)
        except (ZeroDivisionError, OverflowError):
            return UNDEFINED
        return result

    return calculated


_add_numbers = _arithmetic(operator.add)


def _add(left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return _add_numbers(left, right)


OPERATIONS: dict[str, Callable[[Value, Value], Value]] = {
    "+": _add,
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(operator.truediv),
    "%": _arithmetic(operator.mod),
}
"""What each sign gives for two values; undefined where they are no numbers."""


def _to_number(value: Value) -> Value:
    if isinstance(value, (bool, int, float, str)):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return UNDEFINED
    return UNDEFINED


def _to_string(value: Value) -> Value:
    return UNDEFINED if value is UNDEFINED else label_value(value)


def _to_boolean(value: Value) -> Value:
    return value is not UNDEFINED and bool(value)


def _rounding(operate: Callable[[float], int]) -> Callable[[Value], Value]:
    def rounded(value: Value) -> Value:
        return operate(value) if is_number(value) and math.isfinite(value) else UNDEFINED

    return rounded


FUNCTIONS: dict[str, Callable[[Value], Value]] = {
    "number": _to_number,
    "string": _to_string,
    "boolean": _to_boolean,
    "floor": _rounding(math.floor),
    "ceil": _rounding(math.ceil),
    "round": _rounding(round),
}
"""What each function gives for a value."""


def label_value(value: Value) -> str:
    """Return how a report names a value: text as it is, anything else as JSON."""
    if value is UNDEFINED:
        return "undefined"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
