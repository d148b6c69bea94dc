"""Values of settings, as they come from a file, the environment or a call, into what they mean.

Pure. Whatever does not fit raises a `ConfigError` that names the setting, what was given (secrets
aside) and what is valid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from ..errors import ConfigError
from ..windows import Window

T = TypeVar("T")
Parse = Callable[[str, object], T]
"""Takes the name of a setting and what was given for it."""

ANY = float("inf")


def nearest_hint(unknown: Iterable[str], known: Iterable[str]) -> str:
    """` did you mean ...?` for names that are much like known ones; empty for others."""
    known = [*known]
    near = [match for name in unknown for match in get_close_matches(name.lower(), known, n=1)]
    return f" did you mean {', '.join(near)}?" if near else ""


def parse_day(name: str, value: object) -> date:
    """A calendar day from a date, a datetime or text of the form YYYY-MM-DD."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value).strip()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise ConfigError(
        f"{name} is {text!r}; it must be a calendar day of the form YYYY-MM-DD, such as 2026-01-31."
    )


def parse_range(name: str, value: object) -> Window:
    """Two days `first,last`, both inclusive, first not after last."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) != 2:  # noqa: PLR2004 - two ends
        raise ConfigError(
            f"{name} is {value!r}; it must be two days first,last of the form YYYY-MM-DD, "
            "such as 2026-01-01,2026-01-31."
        )
    first, last = (parse_day(name, part) for part in parts)
    if last < first:
        raise ConfigError(
            f"{name} is upside down: {first} is after {last}. Give the earlier day first: "
            f"{last},{first}."
        )
    return Window(first, last)


def is_given(value: object) -> bool:
    """Whether a setting has a value: None and blank text are none."""
    return value.strip() != "" if isinstance(value, str) else value is not None


def parse_text(name: str, value: object) -> str:
    """Text, without the blanks around it."""
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be text.")
    return value.strip()


def parse_json(name: str, value: object) -> str:
    """JSON text, from JSON text or from lists and tables."""
    try:
        return json.dumps(json.loads(value) if isinstance(value, str) else value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} must be JSON, or lists and tables.") from None


def parse_url(name: str, value: object) -> str:
    """The base of addresses, without a slash at its end."""
    text = str(value).strip().rstrip("/")
    if not re.fullmatch(r"https?://[^/\s?#@]+(/[^\s?#@]*)?", text):
        raise ConfigError(
            f"{name} must be an address such as https://mixpanel.com: http or https, a host, "
            "no user name, no query."
        )
    return text


def parse_zone(name: str, value: object) -> str:
    """An IANA time zone that this machine knows."""
    text = str(value).strip()
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f"{name} is {text!r}; it must be an IANA time zone such as UTC, US/Pacific or "
            "Europe/Berlin."
        ) from None
    return text


def choice_of(*valid: str) -> Parse[str]:
    """A parser of one out of some words."""

    def parse(name: str, value: object) -> str:
        if value not in valid:
            raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(valid)}.")
        return str(value)

    return parse


def names_of(what: str) -> Parse[tuple[str, ...]]:
    """A parser of a list of names, or of text with commas between them; none may be blank."""

    def parse(name: str, value: object) -> tuple[str, ...]:
        items = _items(value)
        if items is None or not all(isinstance(item, str) and is_given(item) for item in items):
            raise ConfigError(
                f"{name} must be {what}, none of them blank: a list, or text with commas between "
                "them."
            )
        return tuple(items)

    return parse


def parse_ids(name: str, value: object) -> tuple[int, ...]:
    """Whole numbers, negative ones too: a list, or text with commas between them."""
    items = [value] if isinstance(value, int) else _items(value)
    try:
        return tuple(int(str(item)) for item in ([""] if items is None else items))
    except ValueError:
        raise ConfigError(
            f"{name} is {value!r}; it must be whole numbers: a list, or text with commas between "
            "them."
        ) from None


def _items(value: object) -> Sequence[Any] | None:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",")]
    return value if isinstance(value, (list, tuple)) else None


def parse_flag(name: str, value: object) -> bool:
    """True or false, as words, as digits or as they are."""
    flags = {"true": True, "1": True, "false": False, "0": False}
    text = str(value).strip().lower()
    if text not in flags:
        raise ConfigError(f"{name} is {value!r}; it must be true or false.")
    return flags[text]


def number_from(
    kind: Callable[[str], T], least: float, most: float, *, auto: bool = False
) -> Parse[T | None]:
    """A parser of numbers from `least` to `most` and, with `auto`, of that word, as None."""
    what = "a whole number" if kind is int else "a number"
    bounds = f"{what} of {least:,} or more" if most == ANY else f"{what} from {least:,} to {most:,}"

    if auto:
        bounds = f"auto or {bounds}"

    def parse(name: str, value: object) -> T | None:
        text = str(value).strip()
        if auto and text.lower() == "auto":
            return None
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not least <= number <= most:  # type: ignore[operator]
            raise ConfigError(f"{name} is {value!r}; it must be {bounds}.")
        return number

    return parse
