"""Requests the reports of a table, and remembers through which day each is loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dlt.common.typing import TDataItems

from ...api.reply import Reply
from ...api.request import Request
from ...config.reports import Report, window_for
from ...decode.masking import NO_MASK
from ...decode.row_shape import RejectedRow
from ...errors import ReplyError
from ...windows import iter_days, newest_day
from ..context import LoadContext
from ..load_log import WindowLoad
from ..masked_columns import build_mask
from ..package import LoadPackage
from ..rejected import REPLACE_PART, REPLACE_ROWS, Rejected, RejectedWriter
from .forgotten_rows import without_forgotten
from .masked import check_breakdowns, mask_activity
from .reply_facts import ReplyFacts, facts_of
from .report_requests import ACTIVITY, request_for
from .rows import Measure, ReportQuery, Rows
from .schemas import is_dated, iter_tables
from .shapes import parse_report

logger = logging.getLogger("mixpanel_source")

LOADED = "loaded"
"""State of the resource: report -> what is loaded of it."""
DEFINITION, SINCE, THROUGH, BREAKDOWNS = "definition", "since", "through", "breakdowns"


class _Known(NamedTuple):
    """What is loaded of a report."""

    since: date | None
    """The first day, if it is known."""
    through: date | None = None
    breakdowns: list[str] | None = None
    """The breakdowns of a saved report, if its reply named them."""


class _Read(NamedTuple):
    """A reply, read."""

    rows: Rows
    rejected: list[RejectedRow]
    facts: ReplyFacts
    load: WindowLoad


class ReportLoader:
    """Requests the reports of a table and turns the replies into items for dlt."""

    def __init__(self, context: LoadContext, package: LoadPackage, state: dict[str, Any]) -> None:
        """Prepare; nothing is requested.

        Args:
            context: of the run.
            package: receives the windows.
            state: of the resource.
        """
        self._context = context
        self._config = context.config
        self._package = package
        self._table = package.table
        self._state = state
        self._mask = build_mask(context.config)

    def load(self, report: Report) -> Iterator[TDataItems]:
        """Yields the rows of a report, and remembers through which day it is loaded."""
        known = self._known(report)
        query = self._query(replace(report, since=known.since), known.through)
        if query is None:
            logger.info("%s %s: nothing to load before %s.", self._table, report.name, known.since)
            return
        request = request_for(report, query)
        rows, rejected, facts, load = self._context.client.send(
            request,
            partial(_read_report, request, query),
            patience_s=self._context.patience_s(self._package),
        )
        check_breakdowns(facts.breakdowns or (), self._mask, subject=request.label)
        _warn_of_limits(request, facts)
        days = self._replaced_days(report, known, facts)
        if known.through is not None and days == facts.days:
            # a bucket that began before the requested days was counted only in part
            rows = [row for row in rows if not isinstance(row, Measure) or row.date >= days[0]]
        if self._table == ACTIVITY:
            received = len(rows)
            rows = without_forgotten(rows, self._context.forgotten)
            load.rows_forgotten = received - len(rows)
            rows = mask_activity(rows, self._mask)
        load.rows = len(rows)
        yield from iter_tables(self._table, report.name, rows, days)
        # an entry that is rejected has no day: the replies of several days may have it
        replaced = REPLACE_PART if query.window is None else REPLACE_ROWS
        mask = self._mask if self._table == ACTIVITY else NO_MASK
        writer = RejectedWriter(load, self._context.forgotten, replaced, mask=mask)
        yield from writer.iter_items(map(Rejected.of_value, rejected))
        self._package.add(load)
        if is_dated(self._table):
            self._remember(report, known, facts, rows)

    def _known(self, report: Report) -> _Known:
        known = self._state.get(LOADED, {}).get(report.name)
        if known is None:
            return _Known(report.since)
        if known[DEFINITION] != self._definition(report):
            is_declared_so = known[DEFINITION].startswith(report.definition)
            logger.warning(
                "%s %s: its %s has changed. It is loaded again from its first day; rows "
                "of earlier days stay.",
                self._table,
                report.name,
                "mask" if is_declared_so else "declaration",
            )
            return _Known(report.since)
        since, through = date.fromisoformat(known[SINCE]), date.fromisoformat(known[THROUGH])
        return _Known(since, through, known.get(BREAKDOWNS))

    def _replaced_days(self, report: Report, known: _Known, facts: ReplyFacts) -> list[date]:
        """The days whose rows the reply replaces: all that are loaded, if its breakdown changed."""
        if (
            known.breakdowns in (None, facts.breakdowns)
            or facts.breakdowns is None
            or known.since is None
        ):
            return facts.days
        first = min(known.since, facts.days[0])
        logger.warning(
            "%s %s: its breakdowns were changed in Mixpanel. Its rows since %s, which have the "
            "earlier ones, are deleted. To keep such rows, declare the changed report under a "
            "new name.",
            self._table,
            report.name,
            first,
        )
        return [*iter_days(first, facts.days[-1])]

    def _remember(self, report: Report, known: _Known, facts: ReplyFacts, rows: Rows) -> None:
        since = known.since or facts.days[0]
        if not report.endpoint.incremental:
            # of a saved report every day with rows, to find them when its breakdown changes
            dates = (row.date for row in rows if isinstance(row, Measure))
            since = min(since, facts.days[0], *dates)
        self._state.setdefault(LOADED, {})[report.name] = {
            DEFINITION: self._definition(report),
            SINCE: str(since),
            THROUGH: str(facts.days[-1]),
            BREAKDOWNS: facts.breakdowns,
        }

    def _definition(self, report: Report) -> str:
        """Of a report, with the mask if its rows are masked."""
        masked = self._table == ACTIVITY and self._mask
        return report.definition + (f" {self._config.mask_version}" if masked else "")

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


def _read_report(request: Request, query: ReportQuery, reply: Reply) -> _Read:
    body = reply.json()
    if query.table != "jql":
        # a script may return objects that look like refusals
        reply.check_rows(body)
    try:
        rows, rejected = parse_report(body, query)
        facts = facts_of(body, query)
    except ReplyError as error:
        raise ReplyError(
            f"{error.reason}, and a retry would not change that. Nothing of this report is loaded. "
            f"`mixpanel-source request {request.endpoint.method} {request.endpoint.path}` with the "
            "same parameters shows the reply.",
            subject=request.label,
        ) from error
    load = WindowLoad.of_reading(
        query.table,
        rows=len(rows),
        size=reply.size,
        requests=reply.tries,
        fetched_at=reply.started_at,
    )
    load.part, load.repairs = request.part, reply.repairs
    load.is_truncated = bool(facts.limits)
    if query.window is not None:
        load.first_day, load.last_day = query.window
        # numbers still change for some days, and are read again then
        load.is_final = False
    return _Read(rows, rejected, facts, load)


def _warn_of_limits(request: Request, facts: ReplyFacts) -> None:
    if facts.sampling < 1:
        logger.warning(
            "%s: Mixpanel estimated the numbers from a share of %g of the users. Turn off sampling "
            "in the report.",
            request.label,
            facts.sampling,
        )
    if facts.limits:
        logger.warning(
            "%s: Mixpanel left out segments, because there are more than it returns (%s). %s",
            request.label,
            ", ".join(facts.limits),
            "Raise limit in the params of the report, or filter it."
            if "limit" in request.endpoint.params
            else "Filter the report in Mixpanel, or reduce its breakdowns.",
        )
