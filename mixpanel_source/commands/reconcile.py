"""Compares the loaded events with the counts in Mixpanel's reports; changes nothing.

Mixpanel sends no count with an export, but its reports count events by name and day. That takes one
metered request for the names and one for the counts, or a few if there are very many names.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any, TypeVar

from typing_extensions import Unpack

from .. import constants
from ..api.client import Client
from ..api.clock import Clock
from ..api.projects import read_projects
from ..api.reply import Reply
from ..api.request import Request
from ..catalog.endpoints import endpoint
from ..catalog.tables import EXPORT
from ..config.model import Config
from ..config.parsers import number_from, parse_range, parse_zone
from ..config.providers import load_config
from ..config.settings import Settings
from ..decode.reply_values import unexpected
from ..errors import ConfigError
from ..paths import data_directory
from ..tables.load_log import REJECTED_TABLE
from ..windows import DAY, Window, newest_day
from .event_counts import Calendar, Comparison, Counts, compare, days_to_compare, group_names
from .reader import DestinationReader, open_reader

T = TypeVar("T")

logger = logging.getLogger("mixpanel_source")

TOLERANCE = 0.01
NAMES_LIMIT = 5_000
"""Maximum names that Mixpanel lists.

Source: https://developer.mixpanel.com/reference/query-months-top-event-names
"""


@dataclass(frozen=True)
class Reconciliation:
    """What is loaded, and what Mixpanel counts."""

    comparisons: Sequence[Comparison]
    """By day, then by name; without events that neither side has on a day."""
    days: Sequence[date]
    """The compared days, ascending."""
    zone: str
    """IANA name of the zone of these days."""
    tolerance: float
    """Allowed difference as a share of Mixpanel's count."""
    requests: int
    rejected: int = 0
    """Rows of these days in `_mixpanel_rejected`; Mixpanel counts those that have a name."""

    @property
    def agrees(self) -> bool:
        """Whether all counts are within the tolerance."""
        return all(comparison.within for comparison in self.comparisons)


def reconcile(
    *,
    destination: str = "duckdb",
    dataset: str = constants.DATASET_NAME,
    name: str = constants.PIPELINE_NAME,
    days: str | None = None,
    tolerance: float | str = TOLERANCE,
    clock: Clock = time,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    **settings: Unpack[Settings],
) -> Reconciliation:
    """Compare the loaded events, by name and day, with the counts in Mixpanel's reports.

    Args:
        destination: name of a dlt destination that is a SQL database.
        dataset: the dataset, or schema, of the tables.
        name: of the pipeline that loads them.
        days: `first,last`, both inclusive, as YYYY-MM-DD; by default the newest 30 loaded days
            that no sync reads again.
        tolerance: allowed difference as a share of Mixpanel's count, 0 to 1.
        clock: the time, and how to wait.
        max_wait_s: maximum seconds to wait for the quota.
        settings: take precedence over those configured.

    Raises:
        ConfigError: an argument or a setting is malformed, or none of these days is loaded.
        PlanError: the project's plan does not include the Query API.
        PausedError: the quota allows no request within `max_wait_s`.
    """
    share = number_from(float, 0, 1)("tolerance", tolerance) or 0.0
    wanted = None if days is None else parse_range("range", days)
    config = load_config(settings)
    client = Client(config, clock=clock, directory=data_directory())
    with open_reader(destination, dataset=dataset, name=name) as reader:
        _check_destination(reader, config)
        return _Comparer(reader, client, config, clock, max_wait_s).compare(wanted, share)


class _Comparer:
    """Counts on both sides."""

    def __init__(
        self,
        reader: DestinationReader,
        client: Client,
        config: Config,
        clock: Clock,
        max_wait_s: float,
    ) -> None:
        self._reader = reader
        self._client = client
        self._config = config
        self._clock = clock
        self._max_wait_s = max_wait_s

    def compare(self, wanted: Window | None, tolerance: float) -> Reconciliation:
        calendar = _read_calendar(self._client, self._config)
        days = self._days(calendar, wanted)
        loaded = _read_loaded(self._reader, days, calendar)
        span = Window(days[0], days[-1])
        names = {*self._config.events} or self._read_names(span, loaded)
        counted = self._read_counts(span, names)
        # rows may be left of events that the settings no longer name
        loaded = {key: number for key, number in loaded.items() if key[1] in names}
        comparisons = compare(loaded, counted, {*days}, tolerance=tolerance)
        return Reconciliation(
            comparisons,
            days,
            calendar.zone,
            tolerance,
            self._client.requests,
            _count_rejected(self._reader, days, calendar),
        )

    def _days(self, calendar: Calendar, wanted: Window | None) -> list[date]:
        config = self._config
        now = datetime.fromtimestamp(self._clock.time(), timezone.utc)
        yesterday = newest_day(now, zone=config.project_timezone, include_today=False)
        return days_to_compare(
            {day for day in self._reader.days_loaded(EXPORT) if day <= yesterday},
            calendar,
            settled=yesterday - DAY * config.lookback_days,
            wanted=wanted,
        )

    def _read_names(self, span: Window, loaded: Counts) -> set[str]:
        request = names_request(span)
        names = self._client.send(request, _reader(_parse_names), patience_s=self._max_wait_s)
        return {*names, *(name for _, name in loaded)}

    def _read_counts(self, span: Window, names: Collection[str]) -> Counts:
        counted: dict[tuple[date, str], int] = {}
        for group in group_names(sorted(names)):
            request = counts_request(span, group)
            counted |= self._client.send(
                request, _reader(_parse_counts), patience_s=self._max_wait_s
            )
        return counted


def names_request(span: Window) -> Request:
    """The request for the names of the events of some days.

    Undocumented: that it takes days; without them it lists names of the last 31 days.
    """
    params = {"type": "general", "limit": str(NAMES_LIMIT)}
    days = {"from_date": str(span.first), "to_date": str(span.last)}
    return Request(endpoint("event_names"), detail="reconcile names", params={**params, **days})


def counts_request(span: Window, names: Sequence[str]) -> Request:
    """The request for the counts of events on each of some days."""
    params = {
        "event": json.dumps(names, ensure_ascii=False),
        "type": "general",
        "unit": "day",
        "from_date": str(span.first),
        "to_date": str(span.last),
    }
    return Request(endpoint("event_counts"), detail=f"reconcile {span}", params=params)


def _check_destination(reader: DestinationReader, config: Config) -> None:
    if not reader.is_there or not reader.has_table(EXPORT):
        raise ConfigError("No events are loaded yet, so there is nothing to compare: sync first.")
    if reader.project_id not in (None, config.project_id):
        raise ConfigError(
            f"project_id is {config.project_id}, but the dataset holds project "
            f"{reader.project_id}. Choose the dataset of that project, or another project_id."
        )
    if config.where:
        raise ConfigError(
            "where is set, so not all events are loaded, while Mixpanel counts all events. The two "
            "cannot be compared."
        )


def _read_calendar(client: Client, config: Config) -> Calendar:
    """The project's calendar; for a project created before 2023, the one in the settings.

    If Mixpanel does not say which one it has, that of the export, in UTC.

    Undocumented: where the reply has the zone.
    """
    if config.local_time:
        return Calendar(config.project_timezone, same_for_export=True)
    projects = read_projects(client)
    if projects is None:
        logger.warning(
            "Days are compared in UTC. If the project has another time zone, days differ by the "
            "events near midnight: compare the totals of several days."
        )
        return Calendar("UTC", same_for_export=True)
    zone = projects.get(str(config.project_id), {}).get("timezone") or "UTC"
    zone = parse_zone("the project's time zone", zone)
    return Calendar(zone, same_for_export=zone == "UTC")


def _read_loaded(reader: DestinationReader, days: Sequence[date], calendar: Calendar) -> Counts:
    """Rows of each event on each day."""
    if calendar.same_for_export:
        rows = reader.rows(
            f"SELECT event_date, event, count(*) FROM {{table}} "  # noqa: S608 - dates alone
            f"WHERE event_date BETWEEN CAST('{days[0]}' AS date) AND CAST('{days[-1]}' AS date) "
            "GROUP BY event_date, event",
            EXPORT,
        )
    else:
        moments = "CAST('{}' AS timestamp with time zone)".format
        bounds = ((day, *map(moments, calendar.bounds(day))) for day in days)
        values = ", ".join(f"(CAST('{day}' AS date), {since}, {end})" for day, since, end in bounds)
        rows = reader.rows(
            "SELECT days.local_day, events.event, count(*) FROM {table} AS events "  # noqa: S608 - dates alone
            f"JOIN (VALUES {values}) AS days(local_day, begins, ends) "
            "ON events.time >= days.begins AND events.time < days.ends "
            "GROUP BY days.local_day, events.event",
            EXPORT,
        )
    return {(day, name): number for day, name, number in rows}


def _count_rejected(reader: DestinationReader, days: Sequence[date], calendar: Calendar) -> int:
    """Rejected rows of the export on these days."""
    if not reader.has_table(REJECTED_TABLE):
        return 0
    export_days = [part for day in (days[0], days[-1]) for part in calendar.export_days(day)]
    rows = reader.rows(
        f"SELECT count(*) FROM {{table}} WHERE table_name = '{EXPORT}' "  # noqa: S608 - dates alone
        f"AND day BETWEEN CAST('{export_days[0]}' AS date) AND CAST('{export_days[-1]}' AS date)",
        REJECTED_TABLE,
    )
    return int(rows[0][0])


def _reader(parse: Callable[[Any], T]) -> Callable[[Reply], T]:
    def read(reply: Reply) -> T:
        try:
            return parse(reply.json())
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise unexpected("as documented") from error

    return read


def _parse_names(reply: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    if not isinstance(reply, list):
        raise TypeError
    return [str(name) for name in reply]


def _parse_counts(reply: Any) -> dict[tuple[date, str], int]:  # noqa: ANN401 - any JSON value
    """Shape: {"data": {"series": [day], "values": {name: {day: count}}}}, in no order."""
    return {
        (date.fromisoformat(day[:10]), name): round(number)
        for name, by_day in reply["data"]["values"].items()
        for day, number in by_day.items()
    }
