"""Results of commands as JSON values, for `--json` and for agents."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .plan import Plan
    from .reconcile import Reconciliation
    from .status import Status, TableStatus


def status_as_json(status: Status) -> dict[str, Any]:
    """What is loaded, what is missing and how the last run ended."""
    run = status.last_run
    return {
        "project_id": status.project_id,
        "tables": {table.table: _table_as_json(table) for table in status.tables},
        "last_loads": [
            {
                "table": load.table,
                "part": load.part,
                "first": str(load.window.first),
                "last": str(load.window.last),
                "rows": load.rows,
                "read_at": load.read_at.isoformat(),
            }
            for load in status.loads
        ],
        "last_run": run
        and {
            "job": run.job,
            "tables": list(run.tables),
            "began_at": _minute(run.began_at),
            "ended_at": run.ended_at and _minute(run.ended_at),
            "outcome": status.outcome,
            "rows": run.rows,
            "failures": dict(run.failures),
        },
        "requests_used": status.used,
        "requests_per_hour": status.per_hour,
    }


def _table_as_json(table: TableStatus) -> dict[str, Any]:
    values: dict[str, Any] = {
        "rows": table.rows,
        "read_at": table.read_at and table.read_at.isoformat(),
    }
    if table.files is not None:
        values["files"] = {"count": table.files.number, "bytes": table.files.size}
    if table.first is not None:
        values |= {
            "first": str(table.first),
            "last": str(table.last),
            "gaps": [str(gap) for gap in table.gaps],
            "newest_event": table.newest_event and table.newest_event.isoformat(),
            "synced_through": table.synced_through and str(table.synced_through),
            "days_kept": {str(day): kept._asdict() for day, kept in table.kept_days.items()},
        }
    return values


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """What a job would request, and how long that takes."""
    return {
        "project_id": plan.config.project_id,
        "tables": {table.table: table.as_json() for table in plan.tables},
        "requests": plan.requests,
        "requests_at_most": plan.max_requests,
        "requests_per_hour": plan.config.requests_per_hour,
        "requests_used": plan.used,
        "hours": round(plan.min_s / 3_600, 2),
        "hours_at_most": round(plan.max_s / 3_600, 2),
    }


def reconciliation_as_json(result: Reconciliation) -> dict[str, Any]:
    """The loaded events beside Mixpanel's counts."""
    return {
        "first": str(result.days[0]),
        "last": str(result.days[-1]),
        "days": len(result.days),
        "zone": result.zone,
        "tolerance": result.tolerance,
        "requests": result.requests,
        "rejected": result.rejected,
        "agrees": result.agrees,
        "events": [
            {
                "date": str(comparison.day),
                "event": comparison.event,
                "loaded": comparison.loaded,
                "counted": comparison.counted,
                "difference": comparison.difference,
                "within": comparison.within,
            }
            for comparison in result.comparisons
        ],
    }
