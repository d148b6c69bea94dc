"""What reports are asked with: days, units, lists and expressions, read or refused with 400."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any

from ..messages import Request, refused
from .expression_values import UNDEFINED, Value, WhereError, label_value
from .expressions import compile_expression, compile_where

FIRST_YEAR = 2000

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Properties = Mapping[str, Any]


def parse_days(request: Request, *, today: date) -> tuple[date, date]:
    """Return the first and the last day asked for.

    Args:
        request: The request with `from_date` and `to_date`.
        today: The last day that may be asked for.

    Raises:
        RefusedError: 400, a day is missing, malformed, too early or too late.
    """
    first, last = (_parse_day(request, name) for name in ("from_date", "to_date"))
    if last > today:
        raise refused(400, "to_date cannot be later than today", request)
    if first > last:
        raise refused(400, "from_date cannot be later than to_date", request)
    return first, last


def require(request: Request, name: str) -> str:
    """Return a parameter that must be there.

    Raises:
        RefusedError: 400, it is missing or empty.
    """
    text = request.params.get(name)
    if not text:
        raise refused(400, f"{name} is a required parameter", request)
    return text


def parse_choice(
    request: Request, name: str, choices: Collection[str], *, default: str | None = None
) -> str:
    """Return one of some words.

    Args:
        request: The request.
        name: Name of the parameter.
        choices: The words it may be.
        default: What it is where it is missing; None, it must be there.

    Raises:
        RefusedError: 400, it is missing or another word.
    """
    text = request.params.get(name) or default or require(request, name)
    if text not in choices:
        raise refused(400, f"Error in {name}: must be one of {', '.join(choices)}", request)
    return text


def parse_count(request: Request, name: str, default: int, *, maximum: int | None = None) -> int:
    """Return a number from 1 to `maximum`.

    Raises:
        RefusedError: 400, it is no such number.
    """
    text = request.params.get(name)
    if not text:
        return default
    if not text.isdecimal() or not 0 < int(text) <= (maximum or int(text)):
        bound = f" and not more than {maximum}" if maximum else ""
        raise refused(400, f"Error in {name}: must be a positive number{bound}", request)
    return int(text)


def parse_id(request: Request, name: str) -> int:
    """Return the number of what is asked for.

    Raises:
        RefusedError: 400, it is missing or no number.
    """
    text = require(request, name)
    if not text.isdecimal():
        raise refused(400, f"Error in {name}: must be a number", request)
    return int(text)


def parse_strings(request: Request, name: str) -> list[str] | None:
    """Return a JSON array of strings, or None where the parameter is missing.

    Raises:
        RefusedError: 400, it is no array.
    """
    text = request.params.get(name)
    if not text:
        return None
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, list):
        raise refused(400, f"Error in {name}: must be a JSON array", request)
    return [label_value(value) for value in values]


def parse_words(request: Request, name: str) -> frozenset[str]:
    """Return words given as a JSON array, repeated or with commas between; empty if missing."""
    text = request.params.get(name, "")
    try:
        values = json.loads(text)
    except ValueError:
        values = text.split(",")
    words = values if isinstance(values, list) else [values]
    return frozenset(label_value(word).strip() for word in words) - {""}


def parse_where(request: Request, name: str = "where") -> Callable[[Properties], bool]:
    """Return what says whether these properties are wanted; all are if the parameter is missing.

    Raises:
        RefusedError: 400, the expression cannot be read; for the returned function, it fails.
    """
    text = request.params.get(name)
    if not text:
        return lambda _properties: True
    try:
        matches = compile_where(text)
    except WhereError as error:
        raise refused(400, str(error), request) from None

    def keep(properties: Properties) -> bool:
        try:
            return matches(properties)
        except WhereError as error:
            raise refused(400, str(error), request) from None

    return keep


def parse_value(request: Request, name: str = "on") -> Callable[[Properties], Value]:
    """Return what gives the value of an expression.

    Raises:
        RefusedError: 400, it is missing or cannot be read; for the returned function, it fails.
    """
    text = require(request, name)
    try:
        evaluate = compile_expression(text)
    except WhereError as error:
        raise refused(400, str(error), request) from None

    def value_of(properties: Properties) -> Value:
        try:
            return evaluate(properties)
        except WhereError as error:
            raise refused(400, str(error), request) from None

    return value_of


def parse_segments(request: Request) -> Callable[[Properties], list[str]] | None:
    """Return what names the segments of an event under `on`, or None where it is missing."""
    if not request.params.get("on"):
        return None
    value_of = parse_value(request)
    return lambda properties: list_segments(value_of(properties))


def list_segments(value: Value) -> list[str]:
    """Return the segments a value puts its event in: each item of a list, else the value."""
    if isinstance(value, list):
        return list(dict.fromkeys(label_value(item) for item in value or [UNDEFINED]))
    return [label_value(value)]


def _parse_day(request: Request, name: str) -> date:
    day = _read_date(require(request, name))
    if day is None:
        raise refused(400, f"Error in {name}: invalid date, must be yyyy-mm-dd", request)
    if day.year < FIRST_YEAR:
        raise refused(400, f"Error in {name}: invalid date, bad year", request)
    return day


def _read_date(text: str) -> date | None:
    # fromisoformat() takes other forms as well
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
