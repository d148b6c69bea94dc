"""What a user may set, checked.

`Config` holds the settings in the form the rest of the package uses. It is built from strings and
numbers as they come from a file, the environment or a call; whatever does not fit raises a
`ConfigError` that names the setting, what was given (secrets aside) and what is valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from .. import constants
from ..errors import ConfigError
from ..windows import DAY, Window
from .parsers import (
    ANY,
    Parse,
    choice_of,
    is_given,
    names_of,
    nearest_hint,
    number_from,
    parse_day,
    parse_flag,
    parse_ids,
    parse_json,
    parse_range,
    parse_text,
    parse_url,
    parse_zone,
)
from .reports import Report, parse_reports


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run; see the README for what each means."""

    username: str
    secret: str
    project_id: int
    base_url: str
    export_base_url: str
    ingestion_base_url: str
    workspace_id: int | None = None
    anchor_date: date | None = None
    range: Window | None = None
    lookback_days: int = constants.LOOKBACK_DAYS
    window_days: int | None = constants.WINDOW_DAYS
    """None: as many as suit, see `WindowSizer`."""
    include_today: bool = False
    project_timezone: str = "UTC"
    events: tuple[str, ...] = ()
    where: str | None = None
    limit: int | None = None
    properties: str = "columns"
    max_columns: int = constants.MAX_COLUMNS
    requests_per_second: float = constants.REQUESTS_PER_SECOND
    requests_per_hour: int = constants.REQUESTS_PER_HOUR
    retries: int = constants.RETRIES
    retry_base_seconds: float = constants.RETRY_BASE_SECONDS
    workers: int | None = None
    """None: one less than there are processors, up to `constants.WORKERS_MAX`."""
    engage_page_size: int | None = None
    engage_where: str | None = None
    engage_output_properties: tuple[str, ...] = ()
    engage_behaviors: str | None = None
    """JSON, as it is sent."""
    engage_cohort: int | None = None
    engage_full_days: int = 0
    """0: every sync reads all profiles."""
    cohort_ids: tuple[int, ...] = ()
    """Empty: all there are."""
    data_group_ids: tuple[int, ...] = ()
    reports: tuple[Report, ...] = ()
    catch_up_days: int = constants.CATCH_UP_DAYS

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
    given = {name: value for name, value in values.items() if is_given(value)}
    hosts = _hosts(given.pop("region", "us"))
    check_names(given)
    parsed: dict[str, Any] = {
        "base_url": hosts.query,
        "export_base_url": hosts.export,
        "ingestion_base_url": hosts.ingestion,
    }
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
    valid = ", ".join(SETTING_NAMES)
    wrong = [
        f"there is no setting {name}{f' ({where[name]})' if where else ''}:"
        f"{nearest_hint([name], SETTING_NAMES) or f' the settings are {valid}.'}"
        for name in names
        if name not in SETTING_NAMES
    ]
    if wrong:
        raise ConfigError(" ".join(wrong))


def _hosts(region: object) -> constants.Hosts:
    try:
        return constants.REGIONS[str(region).strip().lower()]
    except KeyError:
        raise ConfigError(
            f"region is {region!r}; it must be one of {', '.join(constants.REGIONS)}, the data "
            "residency shown in the project's settings."
        ) from None


_PARSERS: dict[str, Parse[Any]] = {
    "username": parse_text,
    "secret": parse_text,
    "project_id": number_from(int, 1, ANY),
    "base_url": parse_url,
    "export_base_url": parse_url,
    "ingestion_base_url": parse_url,
    "workspace_id": number_from(int, 1, ANY),
    "anchor_date": parse_day,
    "range": parse_range,
    "lookback_days": number_from(int, 0, constants.LOOKBACK_DAYS_MAX),
    "window_days": number_from(int, 1, 366, auto=True),
    "include_today": parse_flag,
    "project_timezone": parse_zone,
    "events": names_of("event names"),
    "where": parse_text,
    "limit": number_from(int, 1, constants.EXPORT_LIMIT_MAX),
    "properties": choice_of(*constants.PROPERTIES_MODES),
    "max_columns": number_from(int, 10, 10_000),
    "requests_per_second": number_from(float, 0.001, 1_000),
    "requests_per_hour": number_from(int, 0, 1_000_000),
    "retries": number_from(int, 0, 100),
    "retry_base_seconds": number_from(float, 0, 3_600),
    "workers": number_from(int, 1, 64, auto=True),
    "engage_page_size": number_from(int, 1, 1_000_000),
    "engage_where": parse_text,
    "engage_output_properties": names_of("names of properties"),
    "engage_behaviors": parse_json,
    "engage_cohort": number_from(int, 1, ANY),
    "engage_full_days": number_from(int, 0, 366),
    "cohort_ids": parse_ids,
    "data_group_ids": parse_ids,
    "reports": parse_reports,
    "catch_up_days": number_from(int, 1, 3_660),
}
SETTING_NAMES = ("region", *(field.name for field in fields(Config)))
