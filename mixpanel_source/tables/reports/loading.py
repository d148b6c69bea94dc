"""Declared reports: one request each, whose reply becomes rows.

A report that can be limited to some days is loaded like `export`: the requested days replace what
the table holds of them, each with a tombstone, so that a segment that disappeared is deleted. Other
reports replace all their rows or, where the reply names no day, those of the day of the reading.

Source: https://developer.mixpanel.com/reference/query-api, and the page of each endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dlt
from dlt.common.typing import TDataItems

from ...config.model import Config
from ...config.reports import Report, reports_of
from ..context import LoadContext
from ..emit import closing_items
from ..masked_columns import build_mask
from ..partitions import iter_parts
from .loader import LOADED, ReportLoader
from .masked import check_reports
from .saved_funnels import KNOWN, iter_saved_funnels
from .schemas import FUNNELS


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


def iter_reports(context: LoadContext, table: str) -> Iterator[TDataItems]:
    """Yields the items of the resource of a table of reports."""
    package = context.start_package(table)
    state = dlt.current.resource_state()
    if package.loss is not None and package.loss.is_table_lost:
        # each report is loaded again from its first day
        state.pop(LOADED, None)
    loader = ReportLoader(context, package, state)
    reports = reports_of(context.config.reports, table)
    check_reports(reports, build_mask(context.config))
    if not reports:
        yield from iter_saved_funnels(context, package, state)
        ids = [str(funnel_id) for funnel_id in state[KNOWN]]
        reports = [Report(id_, FUNNELS, (("funnel_id", id_),)) for id_ in ids]
    parts = [(report.name, report) for report in reports]
    yield from iter_parts(context, package, parts, loader.load)
    yield from closing_items(package)
