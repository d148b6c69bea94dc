"""The request of a report: its parameters, and the days it asks for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import dlt

from ...api.request import Request
from ...config.model import Config
from ...config.report_params import SCRIPT, SCRIPT_FILE
from ...config.reports import Report, reports_of
from ...errors import ConfigError
from ...windows import DAY, newest_day
from .rows import ReportQuery
from .saved_funnels import list_request

ACTIVITY, JQL, FLOWS = "activity", "jql", "flows"
DEFAULT_LIMIT = 3_000
"""Segments that Mixpanel returns unless `limit` says otherwise; it allows 50,000."""


def request_for(report: Report, query: ReportQuery) -> Request:
    """The request of a report.

    Raises:
        ConfigError: the file of its script cannot be read.
    """
    request = Request(report.endpoint, report.table, part=report.name)
    if report.table == JQL:
        return replace(request, form=_script_form(report))
    if report.endpoint.sends_json:
        return replace(request, json=_json_body(report))
    if query.window is None:
        return replace(request, params=query.params)
    first, last = query.window
    if report.table == ACTIVITY:
        # requested by days of the project, while the days of rows may be those of UTC: a day
        # more has what is missing of the first day; its other events are dropped
        first -= DAY
    days = {"from_date": str(first), "to_date": str(last)}
    return replace(request, params={**query.params, **days})


def probe(table: str, config: Config, now: datetime) -> Request:
    """The cheapest request that shows whether the table can be read: a day of its first report."""
    reports = reports_of(config.reports, table)
    if not reports:
        return list_request()
    report = reports[0]
    if table == JQL:
        return Request(report.endpoint, table, part=report.name, form=_script_form(report))
    if report.endpoint.sends_json:
        return Request(report.endpoint, table, part=report.name, json=_json_body(report))
    day = str(newest_day(now, zone=config.project_timezone, include_today=False))
    days = {"from_date": day, "to_date": day} if report.endpoint.incremental else {}
    return Request(report.endpoint, table, part=report.name, params={**report.param_map, **days})


def _json_body(report: Report) -> dict[str, Any]:
    """The body of a query that is no saved report."""
    params = report.param_map
    body: dict[str, Any] = {"bookmark": json.loads(params["bookmark"])}
    if report.table == FLOWS:
        return {**body, "query_type": params.get("query_type", "flows_sankey")}
    return {**body, "queryLimits": {"limit": int(params.get("limit", DEFAULT_LIMIT))}}


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
