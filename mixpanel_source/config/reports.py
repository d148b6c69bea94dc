"""Declared reports: what a report asks Mixpanel for, and for which days.

Pure: the day is an argument, and the file of a JQL script is read elsewhere.

Source: https://developer.mixpanel.com/reference/query-api.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Final

from ..catalog.endpoint import Endpoint
from ..catalog.endpoints import endpoint
from ..errors import ConfigError
from ..windows import DAY, Window
from .report_params import PROPERTY_FILTERS

TRAILING_DAYS: Final = 30
DAYS_MAX: Final = 3_660
_UNIT_DAYS = {"day": 1, "week": 7, "month": 31}


@dataclass(frozen=True)
class Report:
    """One declared report."""

    name: str
    """Chosen by the user, unique; in the column `report` of its rows."""
    table: str
    """The table that it is loaded into."""
    params: tuple[tuple[str, str], ...]
    """Parameters as they are sent, without the days."""
    since: date | None = None
    """First day of the first load."""
    days: int = TRAILING_DAYS
    """How many of the newest days each load reads again."""

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that answers it."""
        return endpoint_of(self.table)

    @property
    def param_map(self) -> dict[str, str]:
        """The parameters by name."""
        return dict(self.params)

    @property
    def filters(self) -> list[str]:
        """The parameters that may hold property values."""
        return [value for name, value in self.params if name in PROPERTY_FILTERS]

    @property
    def definition(self) -> str:
        """A digest that changes with the parameters and with `since`."""
        text = json.dumps([self.params, str(self.since)])
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def reports_of(reports: Iterable[Report], table: str) -> list[Report]:
    """The declared reports of a table; none for `funnels` means all funnels saved in Mixpanel.

    Raises:
        ConfigError: there is none, and the table is not `funnels`.
    """
    declared = [report for report in reports if report.table == table]
    if not declared and table != "funnels":
        raise ConfigError(
            f"reports declares none for the table {table}. Declare one in config.toml: "
            f'[[sources.mixpanel.reports]] with name, table = "{table}" and params; or leave '
            f"{table} out of tables."
        )
    return declared


def endpoint_of(table: str) -> Endpoint:
    """The endpoint that answers the reports of a table."""
    return endpoint("funnel_steps" if table == "funnels" else table)


def window_for(report: Report, synced_through: date | None, yesterday: date) -> Window | None:
    """The days to request: the new ones, and those whose numbers may still change.

    The first day is the first of its bucket (the interval that a number counts): a request for
    part of a bucket would replace the whole number by a partial one. The newest bucket may be
    incomplete; it is requested again until it is complete.

    Args:
        report: decides how large buckets are and how long numbers may change.
        synced_through: newest day that was loaded; None before the first load.
        yesterday: newest complete day.

    Returns:
        None if `since` is in the future.
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
    """Whether users are counted by their first event since the first day of the request.

    With a later first day other events would be the first, so that day must not move.
    """
    return report.table == "retention" and report.param_map.get("retention_type") != "compounded"


def _bucket_start(report: Report, day: date, since: date) -> date:
    params = report.param_map
    unit, interval = params.get("unit"), params.get("interval")
    if unit == "week":
        return day - DAY * day.weekday()
    if unit == "month":
        return day.replace(day=1)
    return day - DAY * ((day - since).days % int(interval or 1))


def _horizon_days(report: Report) -> int:
    """How many of the newest days may still change."""
    params = report.param_map
    # the project's time zone is unknown here, and in it the newest day may not have ended yet
    days = 2
    if report.table == "retention":
        # one more, for the interval numbered 0
        intervals = int(params.get("interval_count", 1)) + 1
        days = intervals * int(params.get("interval", 1)) * _UNIT_DAYS[params.get("unit", "day")]
    elif report.table == "funnels" and params.get("length_unit", "day") == "day":
        days += int(params.get("length", 0))
    return min(days, DAYS_MAX)
