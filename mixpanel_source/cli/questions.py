"""The commands that load nothing: `check`, `plan` and `status`."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from ..errors import PausedError
from .exit_codes import DONE, FAILED, LATER
from .job import swift_imports
from .text import count, duration, grid, instant

if TYPE_CHECKING:
    from ..commands.plan import Plan, TablePlan
    from ..commands.status import Load, Status, TableStatus

GAPS_SHOWN = 5


def run_check(options: argparse.Namespace) -> int:
    """Find out whether the tables would load, at a request each."""
    with swift_imports():
        from ..commands.check import check

    found = check(options.tables)
    if options.json:
        print(json.dumps({table: error and str(error) for table, error in found.items()}))
    else:
        for table, error in found.items():
            told = str(error or "will load")
            print(told if told.startswith(table) else f"{table}: {told}")
    failures = [error for error in found.values() if error]
    if failures and all(isinstance(error, PausedError) for error in failures):
        return LATER
    return FAILED if failures else DONE


def run_plan(options: argparse.Namespace) -> int:
    """Tell what a sync, or a backfill, would fetch; costs no request."""
    with swift_imports():
        from ..commands.plan import plan as make_plan

    tables = options.tables if options.range is None else ["export"]
    plan = make_plan(
        tables,
        destination=options.destination,
        dataset=options.dataset,
        name=options.pipeline,
        range=options.range,
    )
    print(json.dumps(_plan_as_json(plan)) if options.json else _plan_as_text(plan))
    return DONE


def run_status(options: argparse.Namespace) -> int:
    """Tell what is loaded and how the last run ended; costs no request."""
    with swift_imports():
        from ..commands.status import status as read_status

    status = read_status(
        destination=options.destination, dataset=options.dataset, name=options.pipeline
    )
    print(json.dumps(_status_as_json(status)) if options.json else _status_as_text(status))
    return DONE


def _plan_as_json(plan: Plan) -> dict[str, Any]:
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


def _plan_as_text(plan: Plan) -> str:
    config = plan.config
    lines = [f"project {config.project_id}, {config.export_base_url}"]
    for table in plan.tables:
        lines += _table_plan_lines(table, config.window_days)
    bound = config.requests_per_hour
    pace = f"at {bound} an hour" if bound else "no hourly bound"
    lines.append(f"{_requests(plan)}, {pace}{_used(plan.used)}")
    end = instant(plan.began_at + plan.min_s)
    lines.append(f"takes {duration(plan.min_s)} at least, if it begins now: until {end}")
    if plan.max_s > plan.min_s:
        end = instant(plan.began_at + plan.max_s)
        lines.append(f"if every day takes a request, {duration(plan.max_s)}: until {end}")
    return "\n".join(lines)


def _requests(plan: Plan) -> str:
    if plan.max_requests != plan.requests:
        return f"{plan.requests:,} to {plan.max_requests:,} requests"
    least = "" if all(table.is_exact for table in plan.tables) else "at least "
    return f"{least}{count(plan.requests, 'request')}"


def _table_plan_lines(table: TablePlan, window_days: int | None) -> list[str]:
    if table.auto_requests is None:
        return [f"{table.table}: {_requests_of(table)}"]
    if not table.days:
        return [f"{table.table}: nothing to do"]
    best, worst = table.auto_requests
    auto = f"{best:,} at best, {worst:,} at worst, a day each"
    lines = [f"{table.table}: {count(table.days, 'day')}, {table.first}..{table.last}"]
    if table.days_again:
        lines.append(f"  of these {table.days_again:,} are read again, for events that came late")
    if window_days is None:
        return [*lines, f"  window_days = auto: {auto}"]
    lines.append(f"  window_days = {window_days}: {count(table.requests, 'request')}")
    return [*lines, f"  window_days = auto would make: {auto}"]


def _requests_of(table: TablePlan) -> str:
    if not table.is_exact:
        return f"{count(table.requests, 'request')}, and one for each part that it finds"
    if not table.requests:
        return "no request that counts"
    free = "; the pages that follow the first are free" if table.table == "engage" else ""
    return f"as a whole, {count(table.requests, 'request')}{free}"


def _used(used: dict[str, int]) -> str:
    told = [f"{number} to {family}" for family, number in used.items() if number]
    return f"; used up in the last hour: {', '.join(told)}" if told else ""


def _status_as_json(status: Status) -> dict[str, Any]:
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
            "began_at": instant(run.began_at),
            "ended_at": run.ended_at and instant(run.ended_at),
            "outcome": status.outcome,
            "rows": run.rows,
            "failures": dict(run.failures),
        },
        "requests_used": status.used,
        "requests_per_hour": status.per_hour,
    }


def _table_as_json(table: TableStatus) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rows": table.rows,
        "read_at": table.read_at and table.read_at.isoformat(),
    }
    if table.first is not None:
        told |= {
            "first": str(table.first),
            "last": str(table.last),
            "gaps": [str(gap) for gap in table.gaps],
            "newest_event": table.newest_event and table.newest_event.isoformat(),
            "synced_through": table.synced_through and str(table.synced_through),
        }
    return told


def _status_as_text(status: Status) -> str:
    lines = []
    if status.project_id is None:
        lines.append("nothing is loaded yet: mixpanel-source sync")
    else:
        lines += [f"project {status.project_id}", grid([_table_cells(t) for t in status.tables])]
        lines += [line for table in status.tables for line in _gap_lines(table)]
    if status.loads:
        lines += ["last loads:", grid([_load_cells(load) for load in status.loads])]
    lines += _last_run_lines(status)
    if status.per_hour:
        used = ", ".join(f"{number} to {family}" for family, number in status.used.items())
        lines.append(f"requests in the last hour: {used}; {status.per_hour} are allowed to each")
    return "\n".join(lines)


def _table_cells(table: TableStatus) -> list[str]:
    age = "never read"
    if table.read_at is not None:
        age = f"read {duration(time.time() - table.read_at.timestamp())} ago"
    days = f"{table.first}..{table.last}" if table.first else ""
    newest = f"newest event {instant(table.newest_event)}" if table.newest_event else ""
    return [table.table, f"{table.rows:,} rows", age, days, newest]


def _gap_lines(table: TableStatus) -> list[str]:
    if not table.gaps:
        return []
    missing = ", ".join(map(str, table.gaps[:GAPS_SHOWN]))
    more = f" and {len(table.gaps) - GAPS_SHOWN} more" if len(table.gaps) > GAPS_SHOWN else ""
    gap = table.gaps[0]
    return [
        f"{table.table} was never loaded for {missing}{more}; to load it: "
        f"mixpanel-source backfill --range {gap.first},{gap.last}"
    ]


def _load_cells(load: Load) -> list[str]:
    table = f"  {load.table} {load.part}".rstrip()
    return [table, str(load.window), f"{load.rows:,} rows", instant(load.read_at)]


def _last_run_lines(status: Status) -> list[str]:
    run = status.last_run
    if run is None:
        return []
    at = instant(run.ended_at or run.began_at)
    lines = [f"last run: {run.job} of {', '.join(run.tables)}, {status.outcome}, {at}"]
    return [*lines, *(f"  {message}" for message in run.failures.values())]
