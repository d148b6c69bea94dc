"""Keeps masked values out of reports.

The values of a breakdown are segments of a report, and the values of a property may be a report of
their own. They cannot be masked without being counted apart, so such reports are refused. The
events of `activity` are masked like those of `export`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timezone

import orjson

from ...config.report_params import OBJECTS
from ...config.reports import Report
from ...decode.json_values import dump_json
from ...decode.masking import ID, Mask
from ...errors import ConfigError, ReplyError
from .report_requests import JQL
from .rows import Activity, Rows

_SUMMARIES = ("segmentation_sum", "segmentation_average")
"""Tables whose parameter `on` names what is added up; its values are in no row."""
_NAMING = ("on", "name")
"""Parameters that name the property whose values become rows."""
_QUOTED = re.compile(r"""(["'])((?:\\.|(?!\1).)*)\1""")


def check_reports(reports: Iterable[Report], mask: Mask) -> None:
    """Refuse reports whose rows would have masked values.

    Raises:
        ConfigError: naming the report and the property.
    """
    for report in reports if mask else ():
        if report.table == JQL:
            raise ConfigError(
                f"reports {report.name}: the output of a script cannot be masked. Leave out the "
                "report or mask."
            )
        for name in sorted(_named_properties(report) & mask.names):
            raise ConfigError(
                f"reports {report.name}: its rows would have the values of {name}, which mask "
                "masks. Leave out the report, or the property in mask."
            )


def check_breakdowns(breakdowns: Iterable[str], mask: Mask, *, subject: str) -> None:
    """Refuse a saved report that is broken down by a masked property.

    Raises:
        ReplyError: naming the property; `subject` is the request.
    """
    for name in sorted(mask.names.intersection(breakdowns)):
        raise ReplyError(
            f"the report is broken down by {name}, which mask masks. Nothing of it is loaded. "
            "Change the report in Mixpanel, or leave it out.",
            subject=subject,
        )


def mask_activity(rows: Rows, mask: Mask) -> Rows:
    """Rows of `activity`, masked."""
    return [_mask_row(row, mask) if isinstance(row, Activity) else row for row in rows]


def _mask_row(row: Activity, mask: Mask) -> Activity:
    properties = mask.mask_properties(orjson.loads(row.properties))
    seconds = None if row.time is None else mask.mask("time", row.time.timestamp())
    return row._replace(
        time=None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc),
        distinct_id=mask.mask(ID, row.distinct_id),
        properties=dump_json(properties),
    )


def _named_properties(report: Report) -> set[str]:
    if report.table in _SUMMARIES:
        return set()
    texts = [value for name, value in report.params if name in _NAMING]
    # the texts of a JSON object are quoted as well; it may name the property anywhere
    texts += [value for name, value in report.params if name in OBJECTS]
    quoted = {found[1] for text in texts for found in _QUOTED.findall(text)}
    return {*texts, *quoted}
