"""`mixpanel-destination retry`."""

from __future__ import annotations

import argparse

from mixpanel_source.cli.parser import Commands, add_command
from mixpanel_source.cli.startup import fast_imports

from ..confirm import Confirmation
from ..job import run_import
from ..options import add_confirmation, add_inexact, add_max_refused, add_project


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = "Send the rest of an interrupted run or, of one that is done, the refused rows."
    parser = add_command(commands, "retry", run, summary=summary)
    parser.add_argument("run_id", metavar="RUN", help="see `status`; or last")
    add_project(parser)
    add_confirmation(parser)
    add_max_refused(parser)
    add_inexact(parser)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.retry import retry_lines, retry_options
        from ...commands.status import find_send
        from ...commands.target import check_project
        from ...runs import ProjectRuns
        from ...settings import load_settings

    settings = load_settings()
    check_project(settings, options.project_id, same_project=options.same_project)
    confirm = Confirmation(is_confirmed=options.yes)
    confirm.check_possible()
    runs = ProjectRuns(settings.project_id)
    send = find_send(runs, options.run_id)
    chosen = retry_options(
        send,
        refused_share_max=options.max_refused,
        inexact=options.inexact,
        in_flight=options.in_flight,
    )
    # the rest of an interrupted run is sent before anything else
    lines = retry_lines(runs.log(send.run)) if send.state == "done" else iter(())
    return run_import(
        settings,
        chosen,
        lines,
        confirm,
        source=f"retry of {send.run}",
        as_json=options.json,
    )
