"""`mixpanel-source status`."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from ..options import add_json, add_projects, add_target
from ..output import Cell, Column, print_table
from ..parser import Commands, add_command
from ..projects import run_reading
from ..startup import fast_imports
from ..text import count, duration, instant

if TYPE_CHECKING:
    from ...commands.status import Load, Status, TableStatus
    from ...config.projects import ProjectSettings

TABLES = (
    Column("table"),
    Column("rows", unit="row"),
    Column("last read", "last read {}"),
    Column("days"),
    Column("files"),
    Column("newest event", "newest event {}", wraps=True),
)
LOADS = (
    Column("loaded", "loaded {}"),
    Column("part"),
    Column("days"),
    Column("rows", unit="row"),
    Column("read", "read {}", wraps=True),
)
GAPS_SHOWN = 5


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = "Show what is loaded, what is missing and how the last run ended; sends no request."
    parser = add_command(commands, "status", run, summary=summary)
    add_projects(parser)
    add_target(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.as_json import status_as_json
        from ...commands.status import status as read_status

    def read(project: ProjectSettings) -> Status:
        return read_status(
            destination=options.destination,
            dataset=project.dataset,
            name=project.pipeline,
            **project.settings,
        )

    return run_reading(options, read, as_json=status_as_json, show=_print)


def _print(status: Status) -> None:
    if status.project_id is None:
        print("nothing is loaded yet; to load: mixpanel-source sync")
    else:
        print(f"project {status.project_id}")
        print_table(TABLES, [_table_row(table) for table in status.tables])
        for table in status.tables:
            _print_gaps(table)
            _print_kept(table)
    print_table(LOADS, [_load_row(load) for load in status.loads], names=2)
    _print_last_run(status)
    if status.per_hour:
        used = ", ".join(f"{number} to {quota}" for quota, number in status.used.items())
        print(f"requests in the last hour: {used}; {status.per_hour} allowed to each")


def _table_row(table: TableStatus) -> list[Cell]:
    read = "never"
    if table.read_at is not None:
        read = f"{duration(time.time() - table.read_at.timestamp())} ago"
    return [
        table.table,
        table.rows,
        read,
        f"{table.first}..{table.last}" if table.first else None,
        table.files and f"{count(table.files.number, 'file')}, {table.files.size / 1e6:,.1f} MB",
        instant(table.newest_event) if table.newest_event else None,
    ]


def _load_row(load: Load) -> list[Cell]:
    return [load.table, load.part, str(load.window), load.rows, instant(load.read_at)]


def _print_gaps(table: TableStatus) -> None:
    if not table.gaps:
        return
    missing = ", ".join(map(str, table.gaps[:GAPS_SHOWN]))
    more = f" and {len(table.gaps) - GAPS_SHOWN} more" if len(table.gaps) > GAPS_SHOWN else ""
    gap = table.gaps[0]
    print(
        f"{table.table} was never loaded for {missing}{more}; to load: "
        f"mixpanel-source backfill --range {gap.first},{gap.last}"
    )


def _print_kept(table: TableStatus) -> None:
    if not table.kept_days:
        return
    days = [*table.kept_days]
    rows = sum(kept.held - kept.served for kept in table.kept_days.values())
    shown = ", ".join(map(str, days[:GAPS_SHOWN])) + (" ..." if len(days) > GAPS_SHOWN else "")
    print(
        f"{table.table} keeps {count(rows, 'row')} of {count(len(days), 'day')} that Mixpanel no "
        f"longer serves: {shown}; to delete them: mixpanel-source backfill "
        f"--range {days[0]},{days[-1]} --accept-deletions"
    )


def _print_last_run(status: Status) -> None:
    run = status.last_run
    if run is None:
        return
    at = instant(run.ended_at or run.began_at)
    print(f"last run: {run.job} of {', '.join(run.tables)}, {status.outcome}, {at}")
    for message in run.failures.values():
        print(f"  {message}")
