"""Parses request parameters; invalid ones raise `ApiError` with status 400."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any, TypeVar

from ..messages import Request, api_error
from .expression_values import UNDEFINED, ExpressionError, Value, format_value
from .expressions import compile_condition, compile_expression

FIRST_YEAR = 2000

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Properties = Mapping[str, Any]
_Result = TypeVar("_Result")


def parse_date_range(request: Request, *, today: date) -> tuple[date, date]:
    """Return the first and the last day requested.

    Args:
        request: The request with `from_date` and `to_date`.
        today: Upper bound of `to_date`.

    Raises:
        ApiError: 400, a day is missing, malformed, too early or too late.
    """
    first, last = (_parse_day(request, name) for name in ("from_date", "to_date"))
    if last > today:
        raise api_error(400, "to_date cannot be later than today", request)
    if first > last:
        raise api_error(400, "from_date cannot be later than to_date", request)
    return first, last


def require(request: Request, name: str) -> str:
    """Return a required parameter.

    Raises:
        ApiError: 400, it is missing or empty.
    """
    text = request.params.get(name)
    if not text:
        raise api_error(400, f"{name} is a required parameter", request)
    return text


def parse_choice(
    request: Request, name: str, choices: Collection[str], *, default: str | None = None
) -> str:
    """Return a parameter with a fixed set of values.

    Args:
        request: The request.
        name: Name of the parameter.
        choices: Valid values.
        default: Value if it is missing; None makes it required.

    Raises:
        ApiError: 400, it is missing or invalid.
    """
    text = request.params.get(name) or default or require(request, name)
    if text not in choices:
        raise api_error(400, f"Error in {name}: must be one of {', '.join(choices)}", request)
    return text


def parse_count(request: Request, name: str, default: int, *, maximum: int | None = None) -> int:
    """Return a number from 1 to `maximum`.

    Raises:
        ApiError: 400, it is not a number in this range.
    """
    text = request.params.get(name)
    if not text:
        return default
    if not text.isdecimal() or not 0 < int(text) <= (maximum or int(text)):
        bound = f" and not more than {maximum}" if maximum else ""
        raise api_error(400, f"Error in {name}: must be a positive number{bound}", request)
    return int(text)


def parse_id(request: Request, name: str) -> int:
    """Return a required numeric id.

    Raises:
        ApiError: 400, it is missing or not a number.
    """
    text = require(request, name)
    if not text.isdecimal():
        raise api_error(400, f"Error in {name}: must be a number", request)
    return int(text)


def parse_strings(request: Request, name: str) -> list[str] | None:
    """Return a JSON array of strings, or None if the parameter is missing.

    Raises:
        ApiError: 400, it is not an array.
    """
    text = request.params.get(name)
    if not text:
        return None
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, list):
        raise api_error(400, f"Error in {name}: must be a JSON array", request)
    return [format_value(value) for value in values]


def parse_string_set(request: Request, name: str) -> frozenset[str]:
    """Return strings given as a JSON array, repeated or comma-separated; empty if missing."""
    text = request.params.get(name, "")
    try:
        values = json.loads(text)
    except ValueError:
        values = text.split(",")
    values = values if isinstance(values, list) else [values]
    return frozenset(format_value(value).strip() for value in values) - {""}


def parse_where(request: Request, name: str = "where") -> Callable[[Properties], bool]:
    """Return the filter of a request as a predicate; without the parameter everything matches.

    Raises:
        ApiError: 400, invalid expression. The returned function raises it too, if the expression
            fails for some properties.
    """
    text = request.params.get(name)
    if not text:
        return lambda _properties: True
    return _with_api_errors(compile_condition, text, request)


def parse_expression(request: Request, name: str = "on") -> Callable[[Properties], Value]:
    """Return a required expression as a function of the properties.

    Raises:
        ApiError: 400, missing or invalid expression. The returned function raises it too, if the
            expression fails for some properties.
    """
    return _with_api_errors(compile_expression, require(request, name), request)


def parse_segmenter(request: Request) -> Callable[[Properties], list[str]] | None:
    """Return a function from properties to segments by the expression `on`; None without `on`."""
    if not request.params.get("on"):
        return None
    evaluate = parse_expression(request)
    return lambda properties: segments_of(evaluate(properties))


def segments_of(value: Value) -> list[str]:
    """Return the segments of an event with this value: each item of a list, else the value."""
    if isinstance(value, list):
        return list(dict.fromkeys(format_value(item) for item in value or [UNDEFINED]))
    return [format_value(value)]


def _with_api_errors(
    compile_: Callable[[str], Callable[[Properties], _Result]], text: str, request: Request
) -> Callable[[Properties], _Result]:
    """Compile an expression, turning errors at compile time and at run time into 400."""
    try:
        evaluate = compile_(text)
    except ExpressionError as error:
        raise api_error(400, str(error), request) from None

    def evaluate_or_400(properties: Properties) -> _Result:
        try:
            return evaluate(properties)
        except ExpressionError as error:
            raise api_error(400, str(error), request) from None

    return evaluate_or_400


def _parse_day(request: Request, name: str) -> date:
    day = _parse_date(require(request, name))
    if day is None:
        raise api_error(400, f"Error in {name}: invalid date, must be yyyy-mm-dd", request)
    if day.year < FIRST_YEAR:
        raise api_error(400, f"Error in {name}: invalid date, bad year", request)
    return day


def _parse_date(text: str) -> date | None:
    # date.fromisoformat() accepts other formats as well
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
