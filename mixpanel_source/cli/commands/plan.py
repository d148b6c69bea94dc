"""`mixpanel-source plan`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..options import add_json, add_projects, add_range, add_tables, add_target
from ..output import Cell, Column, print_table
from ..parser import Commands, add_command
from ..projects import run_reading, tables_of
from ..startup import fast_imports
from ..text import count, duration, instant

if TYPE_CHECKING:
    from ...commands.plan import Plan, TablePlan
    from ...config.projects import ProjectSettings

COLUMNS = (
    Column("table"),
    Column("days", unit="day"),
    Column("range"),
    Column("again", "{} of these read again for late events"),
    Column("requests", "requests: {}", wraps=True),
    Column("with auto", "with window_days = auto: {}"),
)


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Show what a sync, or with --range a backfill, would request, and how long the quota "
        "makes that take; sends no request."
    )
    parser = add_command(commands, "plan", run, summary=summary)
    add_tables(parser)
    add_range(parser, "days of a backfill to plan")
    add_projects(parser)
    add_target(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.as_json import plan_as_json
        from ...commands.plan import plan as make_plan

    def read(project: ProjectSettings) -> Plan:
        return make_plan(
            tables_of(options, project) if options.range is None else ["export"],
            destination=options.destination,
            dataset=project.dataset,
            name=project.pipeline,
            **{**project.settings, "range": options.range},
        )

    return run_reading(options, read, as_json=plan_as_json, show=print_plan)


def print_plan(plan: Plan) -> None:
    """Print what a job would request for each table, and how long all of it takes."""
    config = plan.config
    window_days = config.window_days or "auto"
    print(f"project {config.project_id}, {config.export_base_url}, window_days = {window_days}")
    print_table(COLUMNS, [_row(table, config.window_days) for table in plan.tables])
    print("\n".join(_summary_lines(plan)))


def _row(table: TablePlan, window_days: int | None) -> list[Cell]:
    if table.auto_requests is None:
        return [table.table, None, None, None, _requests(table), None]
    if not table.days:
        return [table.table, None, "nothing to do", None, None, None]
    best, worst = table.auto_requests
    auto = f"{best:,} to {worst:,}"
    is_auto = window_days is None
    return [
        table.table,
        table.days,
        f"{table.first}..{table.last}",
        table.days_again or None,
        auto if is_auto else f"{table.requests:,}",
        None if is_auto else auto,
    ]


def _requests(table: TablePlan) -> str:
    if not table.is_exact:
        return f"{table.requests:,}, and 1 for each part found"
    if not table.requests:
        return "none metered"
    return f"{table.requests:,}" + ("; further pages unmetered" if table.table == "engage" else "")


def _summary_lines(plan: Plan) -> list[str]:
    bound = plan.config.requests_per_hour
    pace = f"at {bound} an hour" if bound else "no hourly quota"
    used = [f"{number} to {quota}" for quota, number in plan.used.items() if number]
    made = f"; made in the last hour: {', '.join(used)}" if used else ""
    end = instant(plan.began_at + plan.min_s)
    lines = [
        f"{_total(plan)}, {pace}{made}",
        f"takes at least {duration(plan.min_s)}: if started now, until {end}",
    ]
    lines += [
        f"{table.table}: each day is read in {table.parts} parts, because the last one had more "
        "events than split_days_above"
        for table in plan.tables
        if table.parts > 1
    ]
    if plan.max_s > plan.min_s:
        end = instant(plan.began_at + plan.max_s)
        lines.append(f"with one request per day, {duration(plan.max_s)}: until {end}")
    return lines


def _total(plan: Plan) -> str:
    if plan.max_requests != plan.requests:
        return f"{plan.requests:,} to {plan.max_requests:,} requests"
    least = "" if all(table.is_exact for table in plan.tables) else "at least "
    return f"{least}{count(plan.requests, 'request')}"
