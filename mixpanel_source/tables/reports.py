"""Declared reports: one request each, whose reply becomes rows.

A report that can be asked for some days alone is loaded like the export: the days asked for replace
what the table holds of them, and each comes with a mark that deletes and is not itself inserted, so
that a segment that has vanished is gone. The others replace their report as a whole, or, where the
reply says no day, are filed under the day of the reading.

Source: https://developer.mixpanel.com/reference/query-api, and the page of each endpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dlt
import pyarrow as pa
from dlt.common.typing import TDataItems
from dlt.extract import DltResource

from ..api.client import Reply, Request
from ..catalog import endpoint
from ..config.model import Config
from ..config.reports import FILE, SCRIPT, Report, reports_of, window_for
from ..errors import ConfigError, TruncatedError
from ..windows import DAY, newest_day
from .context import Job, claim_dataset, growing_tables
from .emit import closing_items
from .load_log import WindowLoad
from .partitions import iter_parts
from .report_schemas import FUNNELS, REPLACE_FUNNELS, disposition_of, is_dated, iter_tables
from .report_shapes import Measure, ReportQuery, Rows, days_of, parse_report

logger = logging.getLogger("mixpanel_source")

FUNNELS_SCHEMA = pa.schema([("funnel_id", pa.int64()), ("name", pa.string())])
LOADED, KNOWN = "loaded", "funnels"
"""What the state remembers: what is loaded, by name of the report, and which funnels there are."""
DEFINITION, SINCE, THROUGH = "definition", "since", "through"


def report_resource(table: str, config: Config, job: Job) -> DltResource:
    """The resource of a table of reports, not selected unless asked for: it needs a paid plan."""
    return dlt.resource(
        _iter_items,
        name=table,
        write_disposition=disposition_of(table),
        file_format="parquet",
        selected=False,
    )(table, config, job)


def requests_for(config: Config, table: str, state: Mapping[str, Any]) -> int | None:
    """How many metered requests a sync of a table makes.

    Args:
        config: with the reports that are declared.
        table: out of `constants.REPORT_TABLES`.
        state: what the source remembers of the table.

    Returns:
        None if that depends on how many funnels there are, which nobody has asked yet.
    """
    declared = [report for report in config.reports if report.table == table]
    if declared or table != FUNNELS:
        return len(declared)
    return 1 + len(state[KNOWN]) if KNOWN in state else None


def probe(table: str, config: Config, now: datetime) -> Request:
    """The request that shows whether a table may be read: of its first report, for a day."""
    reports = reports_of(config.reports, table)
    if not reports:
        return Request(FUNNELS, endpoint(FUNNELS))
    report = reports[0]
    if table == "jql":
        return Request(table, report.asks, form=_script_form(report))
    day = str(newest_day(now, zone=config.project_timezone, include_today=False))
    days = {"from_date": day, "to_date": day} if report.asks.incremental else {}
    return Request(table, report.asks, {**report.given, **days})


def _iter_items(table: str, config: Config, job: Job) -> Iterator[TDataItems]:
    claim_dataset(config)
    state = dlt.current.resource_state()
    loader = _ReportLoader(table, config, job, state)
    reports = reports_of(config.reports, table)
    if not reports:
        yield from _iter_funnels(config, job, state)
        reports = [Report(str(one), FUNNELS, (("funnel_id", str(one)),)) for one in state[KNOWN]]
    parts = [(report.name, report) for report in reports]
    with growing_tables():
        yield from iter_parts(job, table, parts, loader.load)
    yield from closing_items(table, job, {})


def _iter_funnels(config: Config, job: Job, state: dict[str, Any]) -> Iterator[TDataItems]:
    """The list of funnels, once a job."""
    if (FUNNELS, "") in job.done:
        return
    request = Request(FUNNELS, endpoint(FUNNELS))
    funnels, report = job.client(config).send(request, _read_funnels, patience_s=job.patience_s)
    state[KNOWN] = sorted(funnels)
    if funnels:
        yield pa.table([[*funnels], [*funnels.values()]], schema=FUNNELS_SCHEMA)
    else:
        yield REPLACE_FUNNELS.tombstones(FUNNELS_SCHEMA)
    job.report(report)


def _read_funnels(reply: Reply) -> tuple[dict[int, str], WindowLoad]:
    try:
        funnels = {int(one["funnel_id"]): str(one["name"]) for one in reply.json()}
    except (KeyError, TypeError, ValueError) as error:
        raise TruncatedError("the reply is not a list of funnels") from error
    return funnels, WindowLoad.of_snapshot(
        FUNNELS,
        rows=len(funnels),
        size=reply.size,
        requests=reply.tries,
        fetched_at=reply.started_at,
    )


class _ReportLoader:
    """Asks for the reports of a table and turns the replies into items for dlt."""

    def __init__(self, table: str, config: Config, job: Job, state: dict[str, Any]) -> None:
        self._table = table
        self._config = config
        self._job = job
        self._state = state

    def load(self, report: Report) -> Iterator[TDataItems]:
        """Yields the rows of a report, and remembers through which day they go."""
        since, through = self._loaded(report)
        asked = self._asked(replace(report, since=since), through)
        if asked is None:
            logger.info("%s %s: nothing to load before %s.", self._table, report.name, since)
            return
        read = partial(_read_report, report.name, asked)
        rows, days, told = self._job.client(self._config).send(
            self._request(report, asked), read, patience_s=self._job.patience_s
        )
        if through is not None:
            # of what began before the days that were asked for only a part was counted
            rows = [row for row in rows if not isinstance(row, Measure) or row.date >= days[0]]
        told.rows = len(rows)
        yield from iter_tables(self._table, report.name, rows, days)
        self._job.report(told)
        if is_dated(self._table):
            self._remember(report, since or days[0], days[-1])

    def _loaded(self, report: Report) -> tuple[date | None, date | None]:
        """The first day of a report, if that is known, and the last that is loaded."""
        known = self._state.get(LOADED, {}).get(report.name)
        if known is None:
            return report.since, None
        if known[DEFINITION] != report.definition:
            logger.warning(
                "%s %s: its declaration has changed. It is loaded anew from its first day on; days "
                "before that keep what they have.",
                self._table,
                report.name,
            )
            return report.since, None
        return date.fromisoformat(known[SINCE]), date.fromisoformat(known[THROUGH])

    def _remember(self, report: Report, since: date, through: date) -> None:
        known = {DEFINITION: report.definition, SINCE: str(since), THROUGH: str(through)}
        self._state.setdefault(LOADED, {})[report.name] = known

    def _asked(self, report: Report, through: date | None) -> ReportQuery | None:
        """What to ask for now; None if nothing yet."""
        zone, now = self._config.project_timezone, self._job.now()
        today = now.astimezone(ZoneInfo(zone)).date()
        asked = ReportQuery(self._table, report.given, today, zone)
        if not report.asks.incremental:
            return asked
        newest = newest_day(now, zone=zone, include_today=self._config.include_today)
        window = window_for(report, through, newest)
        return None if window is None else asked._replace(window=window)

    def _request(self, report: Report, asked: ReportQuery) -> Request:
        what = f"{self._table} {report.name}"
        if self._table == "jql":
            return Request(what, report.asks, form=_script_form(report))
        if asked.window is None:
            return Request(what, report.asks, asked.params)
        first, last = asked.window
        if self._table == "activity":
            # it is asked for by days of the project, and days of the rows may be UTC's: one day
            # more has what is missing of the first; what is of that day only is left out
            first -= DAY
        days = {"from_date": str(first), "to_date": str(last)}
        return Request(what, report.asks, {**asked.params, **days})


def _read_report(
    name: str, asked: ReportQuery, reply: Reply
) -> tuple[Rows, list[date], WindowLoad]:
    said = reply.json()
    rows = parse_report(said, asked)
    told = WindowLoad.of_snapshot(
        asked.table,
        rows=len(rows),
        size=reply.size,
        requests=reply.tries,
        fetched_at=reply.started_at,
    )
    told.part, told.repairs = name, reply.repairs
    if asked.window is not None:
        told.first_day, told.last_day = asked.window
        # numbers move for some days, and then these are read again
        told.is_final = False
    return rows, days_of(said, asked), told


def _script_form(report: Report) -> dict[str, str]:
    """What is sent for a script, which is read now if it is in a file.

    Raises:
        ConfigError: there is no such file.
    """
    form = report.given
    name = form.pop(FILE, None)
    if name is not None:
        path = Path(dlt.current.run_context().run_dir) / name
        try:
            form[SCRIPT] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"reports {report.name}: {FILE} {path} cannot be read. Give the path of a text "
                "file, from the directory that has .dlt/ in it."
            ) from error
    return form
