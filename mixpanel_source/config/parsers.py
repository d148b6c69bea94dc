"""Parsers: the value given for a setting becomes the value that is used, or a `ConfigError`.

Pure. A setting may come as text, from the environment or a command line, or as a value of a proper
type, from a TOML file or a call; both give the same result.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from ..constants import REGIONS
from ..errors import ConfigError
from ..windows import Window
from .lists import ListTextError, parse_list

T_co = TypeVar("T_co", covariant=True)
Number = TypeVar("Number", int, float)

_RANGE_ENDS = 2
_WEBHOOK = (
    r"https://[^/\s?#]+([/?]\S*)?"
    r"|http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?([/?]\S*)?"
)
_NUMBER_NOUNS: dict[type, str] = {int: "a whole number", float: "a number"}


def type_of(value: object) -> str:
    """Describe a value by its type alone, where its text may hold a secret or a property value."""
    name = type(value).__name__
    if isinstance(value, (list, tuple)) and value:
        name += f" of {', '.join(sorted({type(item).__name__ for item in value}))}"
    return f"of type {name}"


@dataclass(frozen=True)
class Parser(Generic[T_co]):
    """Parses the values of a setting, and describes those that are valid.

    Called with the name of the setting and the value given for it, it returns the parsed value or
    raises a `ConfigError` that names the setting, the value and the valid values.
    """

    convert: Callable[[object], T_co]
    """Returns the parsed value; a ValueError or TypeError refuses it."""
    values: str
    """The valid values, as in "it must be a whole number"."""
    accepts: str
    """Type hint of what a caller may pass."""
    hint: str = ""
    """What the error message adds to `values`."""
    show: Callable[[object], str] = repr
    """Describes a refused value in the error message."""

    def __call__(self, name: str, value: object) -> T_co:
        """Parse `value`, given for the setting `name`."""
        try:
            return self.convert(value)
        except ListTextError as error:
            raise ConfigError(f"{name} is {self.show(value)}, which {error}.") from None
        except (TypeError, ValueError, RecursionError):
            raise ConfigError(
                f"{name} is {self.show(value)}; it must be {self.values}{self.hint}."
            ) from None


def is_given(value: object) -> bool:
    """Whether a setting has a value; None and blank text count as absent."""
    return value.strip() != "" if isinstance(value, str) else value is not None


def nearest_hint(unknown: Iterable[str], known: Iterable[str]) -> str:
    """` did you mean ...?` for names that resemble known ones; empty if none does."""
    known = [*known]
    near = [match for name in unknown for match in get_close_matches(name.lower(), known, n=1)]
    return f" did you mean {', '.join(near)}?" if near else ""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value.strip()


def _json(value: object) -> str:
    return json.dumps(json.loads(value) if isinstance(value, str) else value)


def _flag(value: object) -> bool:
    flags = {"true": True, "1": True, "false": False, "0": False}
    text = str(value).strip().lower()
    if text not in flags:
        raise ValueError
    return flags[text]


def _day(value: object) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value).strip()
    # fromisoformat alone takes more forms since Python 3.11, such as 20260131
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError
    return date.fromisoformat(text)


def _range(value: object) -> Window:
    ends = _items(value)
    if len(ends) != _RANGE_ENDS:
        raise ValueError
    first, last = (_day(end) for end in ends)
    if last < first:
        raise ConfigError(
            f"range is reversed: {first} is after {last}. Give the earlier day first: "
            f"{last},{first}."
        )
    return Window(first, last)


def _zone(value: object) -> str:
    name = str(value).strip()
    with suppress(KeyError, OSError):
        return ZoneInfo(name).key
    raise ValueError


def _region(value: object) -> str:
    name = str(value).strip().lower()
    if name not in REGIONS:
        raise ValueError
    return name


def _url(value: object) -> str:
    text = str(value).strip().rstrip("/")
    if not re.fullmatch(r"https?://[^/\s?#@]+(/[^\s?#@]*)?", text):
        raise ValueError
    return text


def _webhook(value: object) -> str:
    text = str(value).strip()
    if not re.fullmatch(_WEBHOOK, text):
        raise ValueError
    return text


def _show_url(value: object) -> str:
    """The refused address without the parts that may hold a password: user and query."""
    return repr(re.sub(r"(?s)^([a-z]+://)?.*@|(?<=[?#]).*", r"\1...", str(value)))


def _store(value: object) -> str:
    text = str(value).strip()
    if "://" in text and not re.match("postgres(ql)?://.", text):
        raise ValueError
    return text


def _directory(value: object) -> str:
    text = str(value) if isinstance(value, Path) else _text(value)
    # credentials belong to the environment: addresses are shown in messages
    if not text or ("://" in text and re.search("[@?#]", text)):
        raise ValueError
    return text


def _items(value: object) -> Sequence[Any]:
    if isinstance(value, str):
        return parse_list(value)
    if not isinstance(value, (list, tuple)):
        raise TypeError
    return value


def _names(value: object) -> tuple[str, ...]:
    names = tuple(_items(value))
    if not all(isinstance(name, str) and is_given(name) for name in names):
        raise ValueError
    return names


def _ids(value: object) -> tuple[int, ...]:
    return tuple(int(str(item)) for item in ([value] if isinstance(value, int) else _items(value)))


parse_text = Parser(_text, "text", "str", hint=", in quotes", show=type_of)
"""Text, stripped of surrounding whitespace. A refused value is not shown: it may be a secret."""
parse_json = Parser(
    _json,
    "JSON text, or lists and tables",
    "Sequence[Mapping[str, Any]] | str",
    show=type_of,
)
"""JSON text, checked and written anew."""
parse_flag = Parser(_flag, "true or false", "bool | str")
parse_day = Parser(_day, "a calendar day YYYY-MM-DD", "date | str", hint=", such as 2026-01-31")
parse_range = Parser(
    _range,
    "two days first,last",
    "Sequence[date | str] | str",
    hint=" of the form YYYY-MM-DD, both inclusive, such as 2026-01-01,2026-01-31",
)
"""The setting `range`: two days, both inclusive, the first not after the last."""
parse_zone = Parser(
    _zone, "an IANA time zone", "str", hint=" such as UTC, US/Pacific or Europe/Berlin"
)
"""Name of a time zone in this machine's database or in that of the package `tzdata`."""
parse_region = Parser(
    _region,
    f"one of {', '.join(REGIONS)}",
    "str",
    hint=", the data residency shown in the project's settings",
)
parse_url = Parser(
    _url,
    "an http or https address",
    "str",
    hint=" such as https://mixpanel.com, with no user name, no query and no fragment",
    show=_show_url,
)
"""Base address of a host, without a trailing slash."""
parse_webhook = Parser(
    _webhook,
    "an https address",
    "str",
    hint=", or an http address of this machine",
    show=type_of,
)
"""Address that receives notices. A refused value is not shown: it may hold a token."""
parse_store = Parser(
    _store,
    "a directory, or the address of a Postgres database",
    "str",
    hint=" such as postgresql://user:password@host:5432/database",
    show=type_of,
)
"""A place that several processes share. A refused value is not shown: it may hold a password."""
parse_directory = Parser(
    _directory,
    "a directory, or an address such as s3://bucket/archive",
    "str",
    hint=", without user name, password and query",
    show=type_of,
)
parse_ids = Parser(
    _ids,
    "whole numbers",
    "Sequence[int | str] | int | str",
    hint=": a list, JSON, or text with commas between them",
)
"""Whole numbers; they may be negative."""


def choice_of(*valid: str) -> Parser[str]:
    """A parser of one of the words in `valid`."""

    def convert(value: object) -> str:
        if value not in valid:
            raise ValueError
        return str(value)

    return Parser(convert, f"one of {', '.join(valid)}", "str")


def names_of(noun: str) -> Parser[tuple[str, ...]]:
    """A parser of names: a list, JSON text of one, or text with commas between them.

    Args:
        noun: what the names are, in the plural: `event names`.
    """
    hint = ", JSON, or text with commas between them; none of them blank"
    return Parser(_names, f"a list of {noun}", "Sequence[str] | str", hint=hint)


def number_from(kind: type[Number], minimum: float, maximum: float = math.inf) -> Parser[Number]:
    """A parser of numbers from `minimum` to `maximum`, both inclusive.

    Args:
        kind: int or float.
        minimum: smallest valid number.
        maximum: largest valid number; without it there is no upper bound.
    """

    def convert(value: object) -> Number:
        number = kind(str(value).strip())
        # also false for a float that is not a number
        if not minimum <= number <= maximum:
            raise ValueError
        return number

    noun = _NUMBER_NOUNS[kind]
    unbounded = f"{noun} of {minimum:,} or more"
    bounded = f"{noun} from {minimum:,} to {maximum:,}"
    values = unbounded if maximum == math.inf else bounded
    return Parser(convert, values, f"{kind.__name__} | str")


def auto_or(parser: Parser[Number]) -> Parser[Number | None]:
    """A parser that also takes the word `auto`, as None."""

    def convert(value: object) -> Number | None:
        return None if str(value).strip().lower() == "auto" else parser.convert(value)

    return Parser(convert, f"auto or {parser.values}", parser.accepts)
