"""Prints what a job did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .output import Cell, Column, print_errors, print_table
from .text import MINUTE_S, count, duration

if TYPE_CHECKING:
    from ..jobs.sync import JobResult

COLUMNS = (Column("table"), Column("rows", unit="row"))
SLOW = (
    "Large windows were decoded without compiled code, at less than half the speed. For more: "
    "pip install 'mixpanel-source[fast]'"
)
PROJECT_COLUMNS = (
    Column("dataset", "dataset {}"),
    Column("rows", unit="row"),
    Column("requests", unit="request"),
    Column("left this hour", "left this hour: {}", wraps=True),
    Column("took"),
)


def print_result(result: JobResult, *, as_json: bool = False, debug: bool = False) -> None:
    """Print what a job loaded, and what failed."""
    summary = summarize_result(result)
    if as_json:
        print(json.dumps(summary))
    else:
        print_table(COLUMNS, [*result.rows.items()])
        print("\n".join(_summary_lines(result, summary)))
    print_errors(result.failures.values(), debug=debug)


def summarize_result(result: JobResult) -> dict[str, Any]:
    """What a job did, for `--json`."""
    from ..jobs.summary import summarize

    return summarize(result)


def _summary_lines(result: JobResult, summary: dict[str, Any]) -> list[str]:
    from ..decode.scan.compiling import compilation

    rows, seconds = result.rows.total(), result.seconds
    rate = f" ({rows / seconds:,.0f} rows/s)" if seconds >= 1 else ""
    took = f"{seconds:.1f} s" if seconds < MINUTE_S else duration(seconds)
    left = ", ".join(f"{number} {quota}" for quota, number in result.requests_left.items())
    requests = count(result.requests, "request") + (f"; left this hour: {left}" if left else "")
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(summary["repairs"].items()))
    repaired = count(summary["values_repaired"], "value")
    days = count(len(result.kept_days), "day")
    kept = [
        f"{count(summary['rows_kept'], 'row')} of {days} kept that Mixpanel no longer serves; to "
        "delete them: --accept-deletions"
    ]
    return [
        *(kept if result.kept_days else []),
        f"{count(rows, 'row')} in {took}{rate}; {requests}",
        f"{count(summary['duplicates_dropped'], 'duplicate')} dropped; "
        f"{repaired} repaired{f': {kinds}' if kinds else ''}",
        f"in {summary['destination']}",
        *([SLOW] if compilation.lacks_numba else []),
    ]


def project_cells(result: JobResult) -> Sequence[Cell]:
    """The cells of `PROJECT_COLUMNS` for one project."""
    left = ", ".join(f"{number} {quota}" for quota, number in result.requests_left.items())
    dataset: str = result.pipeline.dataset_name
    return dataset, result.rows.total(), result.requests, left, f"{result.seconds:.1f} s"
