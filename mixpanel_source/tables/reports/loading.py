"""Declared reports: one request each, whose reply becomes rows.

A report that can be limited to some days is loaded like `export`: the requested days replace what
the table holds of them, each with a tombstone, so that a segment that disappeared is deleted. Other
reports replace all their rows or, where the reply names no day, those of the day of the reading.

Source: https://developer.mixpanel.com/reference/query-api, and the page of each endpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dlt
import orjson
import pyarrow as pa
from dlt.common.typing import TDataItems

from ...api.reply import Reply
from ...api.request import Request
from ...catalog.endpoints import endpoint
from ...config.model import Config
from ...config.report_params import SCRIPT, SCRIPT_FILE
from ...config.reports import Report, reports_of, window_for
from ...decode.forgotten import PERSON_PROPERTIES, ForgottenIds
from ...decode.reply_values import text_of
from ...errors import ConfigError, TruncatedError
from ...windows import DAY, newest_day
from ..context import LoadContext
from ..dlt_items import growing_tables
from ..emit import closing_items
from ..load_log import WindowLoad
from ..package import LoadPackage, TablePart
from ..partitions import iter_parts
from .rows import Measure, ReportQuery, Rows
from .schemas import FUNNELS, REPLACE_FUNNELS, is_dated, iter_tables
from .shapes import days_of, parse_report

logger = logging.getLogger("mixpanel_source")

FUNNELS_SCHEMA = pa.schema([("funnel_id", pa.int64()), ("name", pa.string())])
ACTIVITY = "activity"
LOADED, KNOWN = "loaded", "funnels"
"""State of the resource: report -> what is loaded of it; the ids of the saved funnels."""
DEFINITION, SINCE, THROUGH = "definition", "since", "through"


def count_requests(table: str, config: Config, state: Mapping[str, Any]) -> int | None:
    """Metered requests of a sync.

    Args:
        table: one of `REPORT_TABLES`.
        config: with the declared reports.
        state: of the resource.

    Returns:
        None if it depends on the number of saved funnels, which no sync has listed yet.
    """
    declared = [report for report in config.reports if report.table == table]
    if declared or table != FUNNELS:
        return len(declared)
    return 1 + len(state[KNOWN]) if KNOWN in state else None


def probe(table: str, config: Config, now: datetime) -> Request:
    """The cheapest request that shows whether the table can be read: a day of its first report."""
    reports = reports_of(config.reports, table)
    if not reports:
        return _list_funnels()
    report = reports[0]
    if table == "jql":
        return Request(report.endpoint, table, part=report.name, form=_script_form(report))
    day = str(newest_day(now, zone=config.project_timezone, include_today=False))
    days = {"from_date": day, "to_date": day} if report.endpoint.incremental else {}
    return Request(report.endpoint, table, part=report.name, params={**report.param_map, **days})


def iter_reports(context: LoadContext, table: str) -> Iterator[TDataItems]:
    """Yields the items of the resource of a table of reports."""
    package = context.start_package(table)
    state = dlt.current.resource_state()
    loader = _ReportLoader(context, package, state)
    reports = reports_of(context.config.reports, table)
    if not reports:
        yield from _iter_funnels(context, package, state)
        ids = [str(funnel_id) for funnel_id in state[KNOWN]]
        reports = [Report(id_, FUNNELS, (("funnel_id", id_),)) for id_ in ids]
    parts = [(report.name, report) for report in reports]
    with growing_tables():
        yield from iter_parts(context, package, parts, loader.load)
    yield from closing_items(package, {})


def _iter_funnels(
    context: LoadContext, package: LoadPackage, state: dict[str, Any]
) -> Iterator[TDataItems]:
    """Yields the list of saved funnels, once per run."""
    if TablePart(FUNNELS) in context.record.parts:
        return
    funnels, load = context.client.send(
        _list_funnels(), _read_funnels, patience_s=context.patience_s(package)
    )
    state[KNOWN] = sorted(funnels)
    if funnels:
        yield pa.table([[*funnels], [*funnels.values()]], schema=FUNNELS_SCHEMA)
    else:
        yield REPLACE_FUNNELS.tombstones(FUNNELS_SCHEMA)
    package.add(load)


def _list_funnels() -> Request:
    return Request(endpoint(FUNNELS), FUNNELS, detail="list")


def _read_funnels(reply: Reply) -> tuple[dict[int, str], WindowLoad]:
    try:
        funnels = {int(row["funnel_id"]): str(row["name"]) for row in reply.json()}
    except (KeyError, TypeError, ValueError) as error:
        raise TruncatedError("the reply is not a list of funnels") from error
    return funnels, WindowLoad.of_reading(
        FUNNELS,
        rows=len(funnels),
        size=reply.size,
        requests=reply.tries,
        fetched_at=reply.started_at,
    )


class _ReportLoader:
    """Requests the reports of a table and turns the replies into items for dlt."""

    def __init__(self, context: LoadContext, package: LoadPackage, state: dict[str, Any]) -> None:
        self._context = context
        self._config = context.config
        self._package = package
        self._table = package.table
        self._state = state

    def load(self, report: Report) -> Iterator[TDataItems]:
        """Yields the rows of a report, and remembers through which day it is loaded."""
        since, through = self._loaded(report)
        query = self._query(replace(report, since=since), through)
        if query is None:
            logger.info("%s %s: nothing to load before %s.", self._table, report.name, since)
            return
        rows, days, load = self._context.client.send(
            self._request(report, query),
            partial(_read_report, report.name, query),
            patience_s=self._context.patience_s(self._package),
        )
        if through is not None:
            # a bucket that began before the requested days was counted only in part
            rows = [row for row in rows if not isinstance(row, Measure) or row.date >= days[0]]
        if self._table == ACTIVITY:
            received = len(rows)
            rows = _without_forgotten(rows, self._context.forgotten)
            load.rows_forgotten = received - len(rows)
        load.rows = len(rows)
        yield from iter_tables(self._table, report.name, rows, days)
        self._package.add(load)
        if is_dated(self._table):
            self._remember(report, since or days[0], days[-1])

    def _loaded(self, report: Report) -> tuple[date | None, date | None]:
        """The first day of a report, if it is known, and the last day that is loaded."""
        known = self._state.get(LOADED, {}).get(report.name)
        if known is None:
            return report.since, None
        if known[DEFINITION] != report.definition:
            logger.warning(
                "%s %s: its declaration has changed. It is loaded again from its first day; rows "
                "of earlier days stay.",
                self._table,
                report.name,
            )
            return report.since, None
        return date.fromisoformat(known[SINCE]), date.fromisoformat(known[THROUGH])

    def _remember(self, report: Report, since: date, through: date) -> None:
        known = {DEFINITION: report.definition, SINCE: str(since), THROUGH: str(through)}
        self._state.setdefault(LOADED, {})[report.name] = known

    def _query(self, report: Report, through: date | None) -> ReportQuery | None:
        """What to request now; None if nothing yet."""
        zone, now = self._config.project_timezone, self._context.now()
        today = now.astimezone(ZoneInfo(zone)).date()
        query = ReportQuery(self._table, report.param_map, today, zone)
        if not report.endpoint.incremental:
            return query
        newest = newest_day(now, zone=zone, include_today=self._config.include_today)
        window = window_for(report, through, newest)
        return None if window is None else query._replace(window=window)

    def _request(self, report: Report, query: ReportQuery) -> Request:
        request = Request(report.endpoint, self._table, part=report.name)
        if self._table == "jql":
            return replace(request, form=_script_form(report))
        if query.window is None:
            return replace(request, params=query.params)
        first, last = query.window
        if self._table == ACTIVITY:
            # requested by days of the project, while the days of rows may be those of UTC: a day
            # more has what is missing of the first day; its other events are dropped
            first -= DAY
        days = {"from_date": str(first), "to_date": str(last)}
        return replace(request, params={**query.params, **days})


def _read_report(
    name: str, query: ReportQuery, reply: Reply
) -> tuple[Rows, list[date], WindowLoad]:
    body = reply.json()
    rows = parse_report(body, query)
    load = WindowLoad.of_reading(
        query.table,
        rows=len(rows),
        size=reply.size,
        requests=reply.tries,
        fetched_at=reply.started_at,
    )
    load.part, load.repairs = name, reply.repairs
    if query.window is not None:
        load.first_day, load.last_day = query.window
        # numbers still change for some days, and are read again then
        load.is_final = False
    return rows, days_of(body, query), load


def _without_forgotten(rows: Rows, forgotten: ForgottenIds) -> Rows:
    """The rows of `activity` that belong to nobody who is forgotten."""
    if not forgotten:
        return rows
    ids = [_person_ids(row) for row in rows]
    found = forgotten.find({*chain.from_iterable(ids)})
    return [row for row, own in zip(rows, ids, strict=True) if found.isdisjoint(own)]


def _person_ids(row: Any) -> set[str]:  # noqa: ANN401 - a row of `activity`
    properties = orjson.loads(row.properties)
    values = (row.distinct_id, *map(properties.get, PERSON_PROPERTIES))
    return {text_of(value) for value in values if isinstance(value, (str, int, float))}


def _script_form(report: Report) -> dict[str, str]:
    """The form for a script, which is read now if it is in a file.

    Raises:
        ConfigError: the file cannot be read.
    """
    form = report.param_map
    name = form.pop(SCRIPT_FILE, None)
    if name is not None:
        path = Path(dlt.current.run_context().run_dir) / name
        try:
            form[SCRIPT] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"reports {report.name}: {SCRIPT_FILE} {path} cannot be read. Give the path of a "
                "text file, from the directory that contains .dlt/."
            ) from error
    return form
