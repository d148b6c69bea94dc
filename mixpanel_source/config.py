"""What a user may set, checked.

`Config` holds the settings in the form the rest of the package uses. It is built from strings and
numbers as they come from a file, the environment or a call; whatever does not fit raises a
`ConfigError` that names the setting, what was given (secrets aside) and what is valid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from . import settings
from .errors import ConfigError
from .windows import DAY, Window

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run; see the README for what each means."""

    username: str
    secret: str
    project_id: int
    base_url: str
    export_base_url: str
    anchor_date: date | None = None
    range: Window | None = None
    lookback_days: int = settings.LOOKBACK_DAYS
    window_days: int | None = settings.WINDOW_DAYS
    """None: as many as suit, see `WindowSizer`."""
    include_today: bool = False
    project_timezone: str = "UTC"
    events: tuple[str, ...] = ()
    where: str | None = None
    limit: int | None = None
    properties: str = "columns"
    max_columns: int = settings.MAX_COLUMNS
    requests_per_second: float = settings.REQUESTS_PER_SECOND
    requests_per_hour: int = settings.REQUESTS_PER_HOUR
    retries: int = settings.RETRIES
    retry_base_seconds: float = settings.RETRY_BASE_SECONDS
    workers: int | None = None
    """None: as many as there are processors, up to `settings.WORKERS_MAX`."""
    engage_page_size: int | None = None

    def __repr__(self) -> str:
        """Leave the secret out, wherever this may be printed."""
        return f"Config(project_id={self.project_id}, base_url={self.base_url!r})"

    @property
    def local_time(self) -> bool:
        """Whether `time` is the project's wall clock rather than UTC (projects before 2023)."""
        return self.project_timezone != "UTC"

    @property
    def filters(self) -> dict[str, Any]:
        """The filters of the export that are set; empty if all events are loaded."""
        filters = {"events": list(self.events), "where": self.where, "limit": self.limit}
        return {name: value for name, value in filters.items() if value}

    def anchor(self, today: date) -> date:
        """First day of the first sync: `anchor_date`, or the day a year before `today`."""
        return self.anchor_date or today - DAY * 365


def build_config(values: Mapping[str, Any]) -> Config:
    """Check `values` and return them as a `Config`.

    Args:
        values: setting name -> value as given; None and absent both mean the default.

    Raises:
        ConfigError: on the first setting that is missing, unknown or malformed.
    """
    given = {name: value for name, value in values.items() if _is_given(value)}
    hosts = _hosts(given.pop("region", "us"))
    check_names(given)
    parsed: dict[str, Any] = {"base_url": hosts.query, "export_base_url": hosts.export}
    for name, value in given.items():
        parsed[name] = _PARSERS[name](name, value)
    for name in ("username", "secret", "project_id"):
        if name not in parsed:
            raise ConfigError(
                f"{name} is not set. Set it in [sources.mixpanel] of .dlt/secrets.toml, as "
                f"SOURCES__MIXPANEL__{name.upper()} in the environment, or as an argument."
            )
    return Config(**parsed)


def check_names(names: Iterable[str], *, where: Mapping[str, str] | None = None) -> None:
    """Refuse settings that do not exist, with the nearest that do.

    Args:
        names: what was given.
        where: name -> where it was found, if it stands somewhere.

    Raises:
        ConfigError: naming the unknown settings.
    """
    wrong = [
        f"there is no setting {name}{f' ({where[name]})' if where else ''}:"
        f"{nearest_hint([name], SETTING_NAMES) or f' the settings are {_join(SETTING_NAMES)}.'}"
        for name in names
        if name not in SETTING_NAMES
    ]
    if wrong:
        raise ConfigError(" ".join(wrong))


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


def _is_given(value: object) -> bool:
    return value.strip() != "" if isinstance(value, str) else value is not None


def _hosts(region: object) -> settings.Hosts:
    try:
        return settings.REGIONS[str(region).strip().lower()]
    except KeyError:
        raise ConfigError(
            f"region is {region!r}; it must be one of {_join(settings.REGIONS)}, the data "
            "residency shown in the project's settings."
        ) from None


def _join(names: Mapping[str, object] | list[str] | tuple[str, ...]) -> str:
    return ", ".join(names)


def _parse_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be text.")
    return value.strip()


def _parse_url(name: str, value: object) -> str:
    text = str(value).strip().rstrip("/")
    if not re.fullmatch(r"https?://[^/\s?#@]+(/[^\s?#@]*)?", text):
        raise ConfigError(
            f"{name} must be an address such as https://mixpanel.com: http or https, a host, "
            "no user name, no query."
        )
    return text


def _parse_zone(name: str, value: object) -> str:
    text = str(value).strip()
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f"{name} is {text!r}; it must be an IANA time zone such as UTC, US/Pacific or "
            "Europe/Berlin."
        ) from None
    return text


def _parse_choice(name: str, value: object) -> str:
    if value not in settings.PROPERTIES_MODES:
        raise ConfigError(
            f"{name} is {value!r}; it must be one of {_join(settings.PROPERTIES_MODES)}."
        )
    return str(value)


def _parse_names(name: str, value: object) -> tuple[str, ...]:
    """Event names from a list, or from text with commas between them."""
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(map(_is_name, items)):
        raise ConfigError(
            f"{name} must be event names, none of them blank: a list, or text with commas between "
            "them."
        )
    return tuple(items)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _is_given(value)


def _parse_flag(name: str, value: object) -> bool:
    flags = {"true": True, "1": True, "false": False, "0": False}
    text = str(value).strip().lower()
    if text not in flags:
        raise ConfigError(f"{name} is {value!r}; it must be true or false.")
    return flags[text]


def _number(
    kind: Callable[[str], T], least: float, most: float, *, auto: bool = False
) -> Callable[[str, object], T | None]:
    """A parser of numbers from `least` to `most` and, with `auto`, of that word, as None."""
    what = "a whole number" if kind is int else "a number"
    bounds = (
        f"{what} of {least:,} or more" if most == _ANY else f"{what} from {least:,} to {most:,}"
    )

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


_ANY = float("inf")
_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "username": _parse_text,
    "secret": _parse_text,
    "project_id": _number(int, 1, _ANY),
    "base_url": _parse_url,
    "export_base_url": _parse_url,
    "anchor_date": parse_day,
    "range": parse_range,
    "lookback_days": _number(int, 0, settings.LOOKBACK_DAYS_MAX),
    "window_days": _number(int, 1, 366, auto=True),
    "include_today": _parse_flag,
    "project_timezone": _parse_zone,
    "events": _parse_names,
    "where": _parse_text,
    "limit": _number(int, 1, settings.EXPORT_LIMIT_MAX),
    "properties": _parse_choice,
    "max_columns": _number(int, 10, 10_000),
    "requests_per_second": _number(float, 0.001, 1_000),
    "requests_per_hour": _number(int, 0, 1_000_000),
    "retries": _number(int, 0, 100),
    "retry_base_seconds": _number(float, 0, 3_600),
    "workers": _number(int, 1, 64, auto=True),
    "engage_page_size": _number(int, 1, 1_000_000),
}
SETTING_NAMES = ("region", *(field.name for field in fields(Config)))
