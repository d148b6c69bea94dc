"""`mixpanel-destination verify`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from mixpanel_source.cli.options import DURATION_FORMS, add_max_wait, parse_duration
from mixpanel_source.cli.output import Column, print_table
from mixpanel_source.cli.parser import Commands, add_command
from mixpanel_source.cli.startup import fast_imports
from mixpanel_source.cli.text import count

if TYPE_CHECKING:
    from ...commands.verification import Verification

VISIBLE_AFTER = "45m"
DAYS = (
    Column("day"),
    Column("expected", "{} expected"),
    Column("found", "{} found"),
    Column("different", "{} different"),
    Column("extra", "{} extra"),
)
DIFFERENCES = (Column("kind"), Column("day"), Column("event", wraps=True), Column("$insert_id"))


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Compare what a run sent with the project's raw export; exits with 1 if anything differs."
    )
    parser = add_command(commands, "verify", run, summary=summary)
    parser.add_argument("run_id", nargs="?", default="last", metavar="RUN", help="default: last")
    parser.add_argument(
        "--wait",
        nargs="?",
        type=parse_duration,
        const=parse_duration(VISIBLE_AFTER),
        default=0.0,
        metavar="DURATION",
        help="wait until this long after the run, because events are served late; "
        f"{DURATION_FORMS} (without a value: {VISIBLE_AFTER})",
    )
    parser.add_argument("--deep", action="store_true", help="compare the values, too")
    parser.add_argument(
        "--data-group-id", metavar="ID", help="number of the group key, for a run of groups"
    )
    add_max_wait(parser)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.status import find_send
        from ...commands.verify import verify
        from ...runs import ProjectRuns
        from ...settings import load_settings

    settings = load_settings()
    found = verify(
        settings,
        find_send(ProjectRuns(settings.project_id), options.run_id),
        deep=options.deep,
        wait_s=options.wait,
        max_wait_s=options.max_wait,
        group=options.data_group_id,
    )
    print_verification(found, as_json=options.json)
    return found.exit_code


def print_verification(found: Verification, *, as_json: bool = False) -> None:
    """Print what was compared, and what differs."""
    if as_json:
        facts = {"missing": found.missing, "different": found.different, "extra": found.extra}
        print(json.dumps({**asdict(found), **facts}, default=str))
        return
    print_table(
        DAYS, [(day.day, day.expected, day.found, day.different, day.extra) for day in found.days]
    )
    print_table(
        DIFFERENCES,
        [(item.kind, item.day, item.event, item.insert_id) for item in found.differences],
    )
    send = found.send
    print(
        f"run {send.run}: {send.staged:,} staged = {send.accepted:,} accepted + {send.refused:,} "
        f"refused + {send.skipped:,} not sent"
        + (f" + {found.unaccounted:,} unknown" if found.unaccounted else "")
    )
    if found.unchecked:
        print(f"{count(found.unchecked, 'row')} cannot be compared")
    compared = "key and content" if found.is_deep else "key"
    print(
        f"{found.missing:,} missing, {found.different:,} different, {found.extra:,} extra; "
        f"compared by {compared}, duplicates counted once"
    )
