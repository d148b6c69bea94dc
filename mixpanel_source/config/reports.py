"""The reports that a user has declared: what to ask, and for which days.

Pure: the day is an argument, and the file of a script is read elsewhere.

Source: https://developer.mixpanel.com/reference/query-api.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Any, Final, NoReturn

from ..catalog.endpoints import Endpoint, endpoint
from ..catalog.tables import REPORT_TABLES
from ..errors import ConfigError
from ..windows import DAY, Window
from .parsers import nearest_hint, number_from, parse_day

TRAILING_DAYS: Final = 30
DAYS_MAX: Final = 3_660

KEYS: Final = ("name", "table", "params", "since", "days")
OURS: Final = ("from_date", "to_date", "format", "project_id", "workspace_id")
"""Parameters that follow from other settings."""
SCRIPT, FILE = "script", "script_file"
"""Of `jql`: the text, or where it is; a file is read when the report is asked for."""
COUNTS_BACK: Final = ("event_counts", "event_properties")
"""Tables where `interval` is another way to give the days."""
EXCLUSIVE_UNIT: Final = ("funnels", "retention", "segmentation")
"""Tables that take `unit` or `interval`, and not both.

Source: https://developer.mixpanel.com/reference/retention-query, which answers status 500 to both.
"""
NUMBERS: Final = ("bookmark_id", "funnel_id", "interval", "interval_count", "length", "limit")
FILTERS: Final = ("where", "born_where", "values", "distinct_ids")
LISTS: Final = {
    "event_counts": "event",
    "event_properties": "values",
    "activity": "distinct_ids",
}
"""Table -> the parameter that is a JSON list; a single name may stand for a list of one."""

_TYPES = ("general", "unique", "average")
_UNITS = ("minute", "hour", "day", "week", "month")
_LONG_UNITS = ("day", "week", "month")
_SHORT_UNITS = ("hour", "day")
CHOICES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "funnels": {"unit": _LONG_UNITS, "length_unit": ("day", "hour", "minute", "second")},
    "segmentation": {"unit": ("minute", "hour", "day", "month"), "type": _TYPES},
    "segmentation_numeric": {"unit": _SHORT_UNITS, "type": _TYPES},
    "segmentation_sum": {"unit": _SHORT_UNITS},
    "segmentation_average": {"unit": _SHORT_UNITS},
    "retention": {"unit": _LONG_UNITS, "retention_type": ("birth", "compounded")},
    "frequency": {"unit": _LONG_UNITS, "addiction_unit": _SHORT_UNITS},
    "event_counts": {"unit": _UNITS, "type": _TYPES},
    "event_properties": {"unit": _UNITS, "type": _TYPES},
    "top_events": {"type": _TYPES},
    "event_names": {"type": _TYPES},
}
"""Table -> parameter -> the words it may be, as the pages of the reference list them."""

_UNIT_DAYS = {"day": 1, "week": 7, "month": 31}


@dataclass(frozen=True)
class Report:
    """One declared report."""

    name: str
    """The user's, unique; in the column `report` of its rows."""
    table: str
    """The one that is selected to load it."""
    params: tuple[tuple[str, str], ...]
    """As they are sent, without the days."""
    since: date | None = None
    """First day of the first load."""
    days: int = TRAILING_DAYS
    """How many of the newest days each load reads again."""

    @property
    def asks(self) -> Endpoint:
        """What is asked."""
        return endpoint_of(self.table)

    @property
    def given(self) -> dict[str, str]:
        """The parameters by name."""
        return dict(self.params)

    @property
    def filters(self) -> list[str]:
        """The parameters that hold values of properties."""
        return [value for name, value in self.params if name in FILTERS]

    @property
    def definition(self) -> str:
        """A digest that changes when what is asked, or from when on, does."""
        text = json.dumps([self.params, str(self.since)])
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def reports_of(reports: Iterable[Report], table: str) -> list[Report]:
    """The declared reports of a table; none for `funnels` means all that Mixpanel has saved.

    Raises:
        ConfigError: there is none, and the table is nothing without.
    """
    declared = [report for report in reports if report.table == table]
    if not declared and table != "funnels":
        raise ConfigError(
            f"reports has none for the table {table}. Declare one in config.toml: "
            f'[[sources.mixpanel.reports]] with name, table = "{table}" and params; or leave '
            f"{table} out of tables."
        )
    return declared


def endpoint_of(table: str) -> Endpoint:
    """The endpoint that the reports of a table ask."""
    return endpoint("funnel_steps" if table == "funnels" else table)


def window_for(report: Report, synced_through: date | None, yesterday: date) -> Window | None:
    """The days to ask for: those that are new and those whose numbers may still move.

    The first day is that of a bucket: one asked for in part would replace the whole by a part. The
    newest bucket may have days to come, and is asked for again until it is over.

    Args:
        report: what is asked.
        synced_through: newest day that was loaded; None before the first.
        yesterday: the newest day there is.

    Returns:
        None if `since` is still to come.
    """
    due = yesterday - DAY * (max(report.days, _horizon_days(report)) - 1)
    if synced_through is not None:
        due = min(synced_through + DAY, due)
    since = report.since or due
    first = since if synced_through is None or _counts_firsts(report) else max(since, due)
    if first > yesterday:
        return None
    return Window(_bucket_start(report, first, since), yesterday)


def _counts_firsts(report: Report) -> bool:
    """Whether somebody counts on the first of the days asked for, so that these have to stay."""
    return report.table == "retention" and report.given.get("retention_type") != "compounded"


def _bucket_start(report: Report, day: date, since: date) -> date:
    unit, interval = report.given.get("unit"), report.given.get("interval")
    if unit == "week":
        return day - DAY * day.weekday()
    if unit == "month":
        return day.replace(day=1)
    return day - DAY * ((day - since).days % int(interval or 1))


def _horizon_days(report: Report) -> int:
    """How many days after its own a number may still move."""
    given = report.given
    # by the project's clock, which nobody tells us, the newest day may have hours to go
    days = 2
    if report.table == "retention":
        # one more, for the interval numbered 0
        intervals = int(given.get("interval_count", 1)) + 1
        days = intervals * int(given.get("interval", 1)) * _UNIT_DAYS[given.get("unit", "day")]
    elif report.table == "funnels" and given.get("length_unit", "day") == "day":
        days += int(given.get("length", 0))
    return min(days, DAYS_MAX)


def parse_reports(name: str, value: object) -> tuple[Report, ...]:
    """A list of tables, or JSON text of one.

    Raises:
        ConfigError: naming the report, the key and what is valid.
    """
    try:
        text = value if isinstance(value, str) else json.dumps(value, default=_day_text)
        declared = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        declared = None
    if not isinstance(declared, list) or not all(isinstance(one, dict) for one in declared):
        raise ConfigError(
            f"{name} must be a list of tables, [[sources.mixpanel.reports]] in config.toml, or "
            "JSON text of a list of objects."
        )
    reports: dict[str, Report] = {}
    for number, one in enumerate(declared, 1):
        report = _Declared(name, number, one).parse()
        if report.name in reports:
            raise ConfigError(f"{name} {report.name}: there are two of this name.")
        reports[report.name] = report
    return tuple(reports.values())


def _day_text(value: object) -> str:
    """A date of a TOML file, which JSON has no form for."""
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError


class _Declared:
    """One declaration, being checked."""

    def __init__(self, setting: str, number: int, values: Mapping[str, Any]) -> None:
        self._values = values
        self._what = f"{setting} number {number}"
        name = values.get("name")
        if not isinstance(name, str) or not name.strip():
            self._refuse("name is missing: text of your own choice, for the column report")
        self._name = name.strip()
        self._what = f"{setting} {self._name}"

    def parse(self) -> Report:
        self._check_known("key", self._values, KEYS)
        table = self._values.get("table")
        if not isinstance(table, str) or table not in REPORT_TABLES:
            self._refuse_word("table", table, REPORT_TABLES)
        since, days = self._parse_days(endpoint_of(table))
        return Report(self._name, table, self._parse_params(table), since, days)

    def _parse_days(self, asked: Endpoint) -> tuple[date | None, int]:
        values = self._values
        for key in ("since", "days"):
            if key in values and not asked.incremental:
                self._refuse(f"there is no {key} for {values['table']}, which is not asked by days")
        since = values.get("since")
        parse_number = number_from(int, 1, DAYS_MAX)
        days = parse_number(f"{self._what}: days", values.get("days", TRAILING_DAYS))
        return (None if since is None else parse_day(f"{self._what}: since", since)), int(days or 1)

    def _parse_params(self, table: str) -> tuple[tuple[str, str], ...]:
        given = self._values.get("params", {})
        if not isinstance(given, dict):
            self._refuse("params must be a table, such as { event = 'Signed up' }")
        ours = (*OURS, *(["interval"] if table in COUNTS_BACK else []))
        for key in ours:
            if key in given:
                self._refuse(f"params must not have {key}: it follows from the other settings")
        asked = endpoint_of(table)
        known = [key for key in asked.params if key not in ours]
        self._check_known("parameter", given, [*known, *([FILE] if table == "jql" else [])])
        params = {key: self._parse_value(table, key, value) for key, value in given.items()}
        required = [key for key in asked.required if key not in ours and key != SCRIPT]
        if missing := [key for key in required if key not in params]:
            self._refuse(f"params must have {', '.join(missing)}, which {table} needs")
        if table == "jql" and (SCRIPT in params) == (FILE in params):
            self._refuse(f"params must have one of {SCRIPT} and {FILE}")
        if table in EXCLUSIVE_UNIT and "unit" in params and "interval" in params:
            self._refuse("params must have unit or interval, and not both")
        return tuple(sorted(params.items()))

    def _parse_value(self, table: str, key: str, value: object) -> str:
        if value is None or (isinstance(value, str) and not value.strip()):
            self._refuse(f"params: {key} is blank")
        valid = CHOICES.get(table, {}).get(key)
        if valid is not None and value not in valid:
            self._refuse_word(f"params: {key}", value, valid)
        if key in NUMBERS:
            value = number_from(int, 1, 10**18)(f"{self._what}: params: {key}", value)
        if LISTS.get(table) == key and not _is_json_list(value):
            value = [value]
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def _check_known(self, kind: str, given: Iterable[str], known: Sequence[str]) -> None:
        for key in given:
            if key not in known:
                self._refuse(f"there is no {kind} {key}{_choices(key, known)}")

    def _refuse_word(self, key: str, value: object, valid: Sequence[str]) -> NoReturn:
        self._refuse(f"{key} is {value!r}{_choices(value, valid)}")

    def _refuse(self, why: str) -> NoReturn:
        raise ConfigError(f"{self._what}: {why}.")


def _choices(given: object, valid: Sequence[str]) -> str:
    hint = nearest_hint([given], valid) if isinstance(given, str) else ""
    return f"{f':{hint} It' if hint else '; it'} must be one of {', '.join(valid)}"


def _is_json_list(value: object) -> bool:
    if not isinstance(value, str):
        return isinstance(value, list)
    try:
        return isinstance(json.loads(value), list)
    except ValueError:
        return False
