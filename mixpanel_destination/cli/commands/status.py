"""`mixpanel-destination status`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from mixpanel_source.cli.exit_codes import DONE
from mixpanel_source.cli.output import Column, complain, print_table
from mixpanel_source.cli.parser import Commands, add_command
from mixpanel_source.cli.startup import fast_imports
from mixpanel_source.cli.text import count, instant

if TYPE_CHECKING:
    from ...commands.status import RunStatus
    from ...runs import Send

COLUMNS = (
    Column("run", "run {}"),
    Column("state"),
    Column("kind"),
    Column("began", "began {}"),
    Column("days", wraps=True),
    Column("staged", "{} staged"),
    Column("accepted", "{} accepted"),
    Column("refused", "{} refused"),
    Column("not sent", "{} not sent"),
    Column("from", "from {}", wraps=True),
)
REASONS = (Column("reason"), Column("rows", unit="row"))
SHOWN = 20


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = "Show what was sent to the project from this machine, and what was refused."
    parser = add_command(commands, "status", run, summary=summary)
    parser.add_argument("run_id", nargs="?", metavar="RUN", help="a run in detail; or last")
    parser.add_argument(
        "--into",
        metavar="NAME",
        help="also merge all runs and refused rows into a database, any dlt destination",
    )
    parser.add_argument(
        "--dataset",
        default="mixpanel_destination",
        metavar="NAME",
        help="dataset of the tables for --into (default: mixpanel_destination)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.publish import publish
        from ...commands.status import describe_run
        from ...runs import ProjectRuns
        from ...settings import load_settings

    runs = ProjectRuns(load_settings().project_id)
    if options.into:
        merged = publish(runs, options.into, dataset=options.dataset)
        complain("; ".join(f"{table}: {count(rows, 'row')}" for table, rows in merged.items()))
    if options.run_id:
        _print_run(describe_run(runs, options.run_id), as_json=options.json)
        return DONE
    sends = runs.sends()
    if options.json:
        print(json.dumps([asdict(send) for send in sends]))
    elif sends:
        print_table(COLUMNS, [_cells(send) for send in sends])
    else:
        print("Nothing was sent to this project from this machine.")
    return DONE


def _print_run(status: RunStatus, *, as_json: bool) -> None:
    if as_json:
        refused = {"reasons": dict(status.reasons), "refused_file": str(status.refused_file)}
        print(json.dumps({**asdict(status.send), **refused}))
        return
    print_table(COLUMNS, [_cells(status.send)])
    if status.reasons:
        print_table(REASONS, status.reasons.most_common(SHOWN))
        print(f"The refused rows are in {status.refused_file}")
    if status.send.state != "done":
        print(f"To send the rest: mixpanel-destination retry {status.send.run} --project-id ...")


def _cells(send: Send) -> tuple[str | int, ...]:
    days = f"{send.first_day} to {send.last_day}" if send.first_day else ""
    counts = (send.staged, send.accepted, send.refused, send.skipped)
    return (send.run, send.state, send.kind, instant(send.started_at), days, *counts, send.source)
