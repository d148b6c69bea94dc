"""Values of segmentation expressions, and the operators and functions that work on them.

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
"""The value of a missing property and of invalid operations, such as comparing other types."""

_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class ExpressionError(ValueError):
    """An expression the API rejects; the message gives the reason."""


class Timestamp(float):
    """Epoch seconds that can also be compared with the ISO times of profiles."""


def parse_timestamp(value: Value) -> Timestamp:
    """Convert the argument of `datetime()`: epoch seconds, or an ISO time (UTC without an offset).

    Raises:
        ExpressionError: The value is neither.
    """
    if is_number(value):
        return Timestamp(value)
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            raise ExpressionError(f"not a date and time: {value}") from None
        return Timestamp(_as_utc(parsed).timestamp())
    raise ExpressionError("datetime() takes a string or a number")


def as_condition(value: Value) -> bool:
    """Return whether a condition holds; undefined counts as false.

    Raises:
        ExpressionError: The value is not a boolean.
    """
    if value is UNDEFINED:
        return False
    if isinstance(value, bool):
        return value
    raise ExpressionError(f"expected true or false but found a {type(value).__name__}")


def _equal(left: Value, right: Value) -> bool:
    left, right = _align(left, right)
    return _type_name(left) == _type_name(right) and bool(left == right)


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
        comparable = _type_name(left) == _type_name(right) and _type_name(left) in {"number", "str"}
        return compare(left, right) if comparable else UNDEFINED

    return ordered


def _align(left: Value, right: Value) -> tuple[Value, Value]:
    """Convert the ISO time of a profile to epoch seconds if the other value is a timestamp."""
    if isinstance(left, Timestamp) and isinstance(right, str):
        return left, _parse_iso(right)
    if isinstance(right, Timestamp) and isinstance(left, str):
        return _parse_iso(left), right
    return left, right


def _parse_iso(text: str) -> Value:
    try:
        return _as_utc(datetime.fromisoformat(text.replace("Z", "+00:00"))).timestamp()
    except ValueError:
        return UNDEFINED


def _as_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


def is_number(value: Value) -> TypeGuard[float]:
    """Return whether a value is a number; booleans are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _type_name(value: Value) -> str:
    return "number" if is_number(value) else type(value).__name__


COMPARISONS: dict[str, Callable[[Value, Value], Value]] = {
    "==": _equal,
    "!=": _not_equal,
    "in": _in,
    **{name: _ordering(name) for name in _ORDERINGS},
}
"""Comparison operators."""


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
"""Arithmetic operators; undefined for operands that are not numbers. `+` also joins strings."""


def _to_number(value: Value) -> Value:
    if isinstance(value, (bool, int, float, str)):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return UNDEFINED
    return UNDEFINED


def _to_string(value: Value) -> Value:
    return UNDEFINED if value is UNDEFINED else format_value(value)


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
"""Functions of one value."""


def format_value(value: Value) -> str:
    """Return the name of a value in a report: strings unchanged, others as JSON."""
    if value is UNDEFINED:
        return "undefined"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
