"""Whether the table of events holds as many as Mixpanel counts; changes nothing, there or here.

Mixpanel gives no count with an export, but its reports count: events by name and day. That costs a
metered request for the names and one for the counts, or a few where there are very many names.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any, TypeVar

from .. import constants
from ..api.client import Client, Clock, Reply, Request
from ..api.projects import read_projects
from ..catalog import endpoint
from ..config.model import Config
from ..config.parsers import number_from, parse_range, parse_zone
from ..config.providers import load_config
from ..errors import ConfigError, TruncatedError
from ..paths import data_directory
from ..tables import events
from ..windows import DAY, Window, newest_day
from .event_counts import Calendar, Comparison, Counts, compare, days_to_compare, group_names
from .reader import DestinationReader, open_reader

T = TypeVar("T")

TOLERANCE = 0.01
NAMES_LIMIT = 5_000
"""Most names that Mixpanel tells.

Source: https://developer.mixpanel.com/reference/query-months-top-event-names
"""


@dataclass(frozen=True)
class Reconciliation:
    """What is loaded beside what Mixpanel counts."""

    comparisons: Sequence[Comparison]
    """By day, then by name; events that neither side has on a day are left out."""
    days: Sequence[date]
    """Those compared, ascending."""
    zone: str
    """IANA name of the zone that they are days of."""
    tolerance: float
    """As a share of what is counted."""
    requests: int

    @property
    def agrees(self) -> bool:
        """Whether all is within the tolerance."""
        return all(one.within for one in self.comparisons)


def reconcile(
    *,
    destination: str = "duckdb",
    dataset: str = constants.DATASET_NAME,
    name: str = constants.PIPELINE_NAME,
    days: str | None = None,
    tolerance: float | str = TOLERANCE,
    clock: Clock = time,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
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
        given: settings, which take precedence over those configured.

    Raises:
        ConfigError: an argument or a setting is malformed, or none of these days is loaded.
        PlanError: the project's plan does not include the Query API.
        PausedError: the quota allows no request within `max_wait_s`.
    """
    with open_reader(destination, dataset=dataset, name=name) as reader:
        return compare_counts(
            reader, days=days, tolerance=tolerance, clock=clock, max_wait_s=max_wait_s, **given
        )


def compare_counts(
    reader: DestinationReader,
    *,
    days: str | None = None,
    tolerance: float | str = TOLERANCE,
    clock: Clock = time,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    **given: Any,  # noqa: ANN401 - any setting of `mixpanel_source`
) -> Reconciliation:
    """Compare the events that are loaded, by name and day, with Mixpanel's own counts.

    Args:
        reader: the destination.
        days: `first,last`, both inclusive, of the form YYYY-MM-DD; by default the last 30 days that
            are loaded and that no sync reads again.
        tolerance: share of what is counted by which the numbers may differ, 0 to 1.
        clock: the time, and how to wait.
        max_wait_s: longest wait that the quota may impose.
        given: settings, which go before those configured.

    Raises:
        ConfigError: an argument or a setting is malformed, or nothing is loaded of these days.
        PlanError: the project's plan has no API for counts.
        PausedError: the quota allows no request within `max_wait_s`.
    """
    share = number_from(float, 0, 1)("tolerance", tolerance) or 0.0
    wanted = None if days is None else parse_range("range", days)
    config = load_config(given)
    _check_destination(reader, config)
    client = Client(config, clock=clock, directory=data_directory())
    calendar = _read_calendar(client, config)
    now = datetime.fromtimestamp(clock.time(), timezone.utc)
    yesterday = newest_day(now, zone=config.project_timezone, include_today=False)
    compared = days_to_compare(
        {day for day in reader.days_loaded(events.NAME) if day <= yesterday},
        calendar,
        settled=yesterday - DAY * config.lookback_days,
        wanted=wanted,
    )
    loaded = _read_loaded(reader, compared, calendar)
    span = Window(compared[0], compared[-1])
    names = set(config.events)
    if not names:
        told = client.send(names_request(span), _reader(_parse_names), patience_s=max_wait_s)
        names = {*told, *(name for _, name in loaded)}
    counted: dict[tuple[date, str], int] = {}
    for some in group_names(sorted(names)):
        request = counts_request(span, some)
        counted |= client.send(request, _reader(_parse_counts), patience_s=max_wait_s)
    # of events that are configured no more some may still be there
    loaded = {key: number for key, number in loaded.items() if key[1] in names}
    comparisons = compare(loaded, counted, set(compared), tolerance=share)
    return Reconciliation(comparisons, compared, calendar.zone, share, client.requests)


def names_request(span: Window) -> Request:
    """The request for the names of the events of some days.

    Undocumented: that it takes days; without them it tells of the last 31.
    """
    params = {"type": "general", "limit": str(NAMES_LIMIT)}
    days = {"from_date": str(span.first), "to_date": str(span.last)}
    return Request("reconcile names", endpoint("event_names"), {**params, **days})


def counts_request(span: Window, names: Sequence[str]) -> Request:
    """The request for how often events happened on each of some days."""
    params = {
        "event": json.dumps(names, ensure_ascii=False),
        "type": "general",
        "unit": "day",
        "from_date": str(span.first),
        "to_date": str(span.last),
    }
    return Request(f"reconcile {span}", endpoint("event_counts"), params)


def _check_destination(reader: DestinationReader, config: Config) -> None:
    if not reader.is_there or not reader.has_table(events.NAME):
        raise ConfigError("No events are loaded yet, so there is nothing to compare: sync first.")
    if reader.project_id not in (None, config.project_id):
        raise ConfigError(
            f"project_id is {config.project_id}, but the dataset holds project "
            f"{reader.project_id}. Choose the dataset of that project, or another project_id."
        )
    if config.where:
        raise ConfigError(
            "where is set, so not all events are loaded, and Mixpanel's counts must be of all. "
            "There is no comparing the two."
        )


def _read_calendar(client: Client, config: Config) -> Calendar:
    """The project's calendar; for a project before 2023 it is the one that is set.

    Undocumented: where the reply has the zone.
    """
    if config.local_time:
        return Calendar(config.project_timezone, filed=True)
    projects = read_projects(client, "reconcile project")
    zone = projects.get(str(config.project_id), {}).get("timezone") or "UTC"
    zone = parse_zone("the project's time zone", zone)
    return Calendar(zone, filed=zone == "UTC")


def _read_loaded(reader: DestinationReader, days: Sequence[date], calendar: Calendar) -> Counts:
    """How many rows each event has on each day."""
    if calendar.filed:
        rows = reader.rows(
            f"SELECT event_date, event, count(*) FROM {{table}} "  # noqa: S608 - dates alone
            f"WHERE event_date BETWEEN CAST('{days[0]}' AS date) AND CAST('{days[-1]}' AS date) "
            "GROUP BY event_date, event",
            events.NAME,
        )
    else:
        moments = "CAST('{}' AS timestamp with time zone)".format
        bounds = ((day, *map(moments, calendar.bounds(day))) for day in days)
        values = ", ".join(f"(CAST('{day}' AS date), {since}, {end})" for day, since, end in bounds)
        rows = reader.rows(
            "SELECT days.local_day, events.event, count(*) FROM {table} AS events "  # noqa: S608 - as above
            f"JOIN (VALUES {values}) AS days(local_day, begins, ends) "
            "ON events.time >= days.begins AND events.time < days.ends "
            "GROUP BY days.local_day, events.event",
            events.NAME,
        )
    return {(day, name): number for day, name, number in rows}


def _reader(parse: Callable[[Any], T]) -> Callable[[Reply], T]:
    def read(reply: Reply) -> T:
        try:
            return parse(reply.json())
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TruncatedError("the reply is not of the documented form") from error

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
