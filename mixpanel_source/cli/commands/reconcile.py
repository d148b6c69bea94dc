"""`mixpanel-source reconcile`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..exit_codes import DONE, FAILED
from ..options import add_json, add_max_wait, add_projects, add_range, add_target
from ..output import Cell, Column, print_table
from ..parser import Commands, add_command
from ..projects import run_reading
from ..startup import fast_imports
from ..text import count

if TYPE_CHECKING:
    from ...commands.event_counts import Comparison
    from ...commands.reconcile import Reconciliation
    from ...config.projects import ProjectSettings

COLUMNS = (
    Column("date"),
    Column("event"),
    Column("loaded", "{} loaded"),
    Column("counted", "{} counted"),
    Column("difference", "difference {}", number_format="+,"),
    Column(""),
)


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Compare the loaded events with Mixpanel's own counts; usually 2 requests, and 1 that is "
        "unmetered."
    )
    parser = add_command(commands, "reconcile", run, summary=summary)
    add_range(parser, "days to compare, by default the newest 30 that no sync reads again")
    parser.add_argument(
        "--tolerance",
        default="0.01",
        metavar="SHARE",
        help="allowed difference as a share of Mixpanel's count, 0 to 1 (default: 0.01)",
    )
    add_projects(parser)
    add_target(parser)
    add_max_wait(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.as_json import reconciliation_as_json
        from ...commands.reconcile import reconcile

    def read(project: ProjectSettings) -> Reconciliation:
        return reconcile(
            destination=options.destination,
            dataset=project.dataset,
            name=project.pipeline,
            days=options.range,
            tolerance=options.tolerance,
            max_wait_s=options.max_wait,
            **project.settings,
        )

    return run_reading(
        options,
        read,
        as_json=reconciliation_as_json,
        show=_print,
        exit_code=lambda result: DONE if result.agrees else FAILED,
    )


def _print(result: Reconciliation) -> None:
    differing = [comparison for comparison in result.comparisons if comparison.difference]
    beyond = sum(not comparison.within for comparison in differing)
    loaded = sum(comparison.loaded for comparison in result.comparisons)
    counted = sum(comparison.counted for comparison in result.comparisons)
    print_table(COLUMNS, [_row(comparison) for comparison in differing], names=2)
    days = f"{result.days[0]}..{result.days[-1]}, {count(len(result.days), 'day')} ({result.zone})"
    print(f"{days}: {loaded:,} events loaded, {counted:,} counted by Mixpanel")
    print(
        f"of {len(result.comparisons):,} counts {len(differing):,} differ, {beyond:,} by more than "
        f"{result.tolerance:.1%}; {count(result.requests, 'request')}"
    )
    if result.rejected:
        print(f"not counted here: {count(result.rejected, 'row')} in _mixpanel_rejected")


def _row(comparison: Comparison) -> list[Cell]:
    return [
        str(comparison.day),
        comparison.event,
        comparison.loaded,
        comparison.counted,
        comparison.difference,
        None if comparison.within else "beyond the tolerance",
    ]
