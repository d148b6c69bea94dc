"""`mixpanel-destination migrate`."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict
from datetime import date, datetime, timedelta, timezone
from threading import Event
from typing import TYPE_CHECKING

from mixpanel_source.cli.options import (
    DURATION_FORMS,
    add_max_wait,
    parse_duration,
    parse_names,
)
from mixpanel_source.cli.output import Cell, Column, complain, print_table
from mixpanel_source.cli.parser import Commands, add_command
from mixpanel_source.cli.signals import CancellableClock, run_cancellable
from mixpanel_source.cli.startup import fast_imports
from mixpanel_source.errors import CancelledError, ConfigError

from ..confirm import Confirmation, ProgressLines
from ..options import add_max_refused, add_project
from .verify import VISIBLE_AFTER, print_verification

if TYPE_CHECKING:
    from ...api.client import Client
    from ...commands.changes.base import Work
    from ...commands.migrate import MigrationResult
    from ...settings import Settings

STEPS = ("lexicon", "identity", "events", "profiles", "groups", "annotations")
IDENTITY = ("resend", "link", "skip")
COLUMNS = (
    Column("step"),
    Column("run", "run {}"),
    Column("staged", "{} staged"),
    Column("accepted", "{} accepted"),
    Column("refused", "{} refused"),
    Column("not sent", "{} not sent"),
    Column("note", wraps=True),
)


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Move the project of [sources.mixpanel] into that of [destination.mixpanel], and verify "
        "what arrived."
    )
    parser = add_command(commands, "migrate", run, summary=summary)
    add_project(parser)
    parser.add_argument(
        "--range",
        metavar="FIRST,LAST",
        help="first and last day of events, as YYYY-MM-DD (default: a year ago to today)",
    )
    parser.add_argument(
        "--steps",
        type=parse_names,
        default=list(STEPS),
        metavar="NAMES",
        help=f"what to move, separated by commas (default: {','.join(STEPS)})",
    )
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="KEY=ID",
        help="a group key of the target, and its data_group_id in the source; may be repeated",
    )
    parser.add_argument(
        "--identity",
        choices=IDENTITY,
        default="resend",
        help="identity events: send them again; link: for a target with simplified identity "
        "management, make events that link the ids; or skip them (default: resend)",
    )
    parser.add_argument(
        "--user-id-pattern",
        default="",
        metavar="REGEX",
        help="matches ids of users and none of devices, for --identity link",
    )
    parser.add_argument(
        "--window-days",
        type=int,
        default=7,
        metavar="N",
        help="days per export request; there are 60 an hour (default: 7)",
    )
    parser.add_argument(
        "--keep-arrival",
        action="store_true",
        help="keep mp_processing_time_ms as source_processed_ms",
    )
    parser.add_argument("--dry-run", action="store_true", help="read and show, and send nothing")
    parser.add_argument("--yes", action="store_true", help="send without asking")
    add_max_refused(parser)
    parser.add_argument(
        "--wait",
        nargs="?",
        type=parse_duration,
        const=parse_duration(VISIBLE_AFTER),
        default=0.0,
        metavar="DURATION",
        help="wait this long before verifying, because events are served late; "
        f"{DURATION_FORMS} (without a value: {VISIBLE_AFTER})",
    )
    parser.add_argument(
        "--no-verify", action="store_true", help="leave verifying to `verify`, run later"
    )
    add_max_wait(parser)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from mixpanel_source.config.providers import load_config

        from ...commands.migrate import Migration, MigrationOptions
        from ...commands.target import check_project
        from ...settings import load_settings

    settings = load_settings()
    check_project(settings, options.project_id)
    config = load_config({})
    confirm = Confirmation(is_confirmed=options.yes, asks=not options.dry_run)
    confirm.check_possible()
    first, last = _range(options.range)
    chosen = MigrationOptions(
        first=first,
        last=last,
        steps=_steps(options.steps),
        groups=_groups(options.group),
        identity=options.identity,
        user_id_pattern=_pattern(options.user_id_pattern),
        window_days=max(1, options.window_days),
        keep_arrival=options.keep_arrival,
        dry_run=options.dry_run,
        refused_share_max=options.max_refused,
    )

    def job(cancelled: Event) -> MigrationResult:
        migration = Migration(
            settings,
            config,
            chosen,
            clock=CancellableClock(cancelled),
            cancelled=cancelled,
            on_progress=ProgressLines(),
            max_wait_s=options.max_wait,
        )
        approve = _Approve(is_dry=options.dry_run, is_confirmed=options.yes)
        return migration.run(confirm, approve)

    result = run_cancellable(job, on_cancel=_announce_cancel)
    _print(result, as_json=options.json)
    is_refused = any(send.refused or send.skipped for send in result.sends)
    code = 65 if is_refused else 0
    if options.dry_run or options.no_verify:
        return code
    return _verify(settings, result, options) or code


def _verify(
    settings: Settings,
    result: MigrationResult,
    options: argparse.Namespace,
) -> int:
    """Verify what was sent, and return the exit code."""
    from ...commands.verify import verify

    code = 0
    for send in result.sends:
        if send.kind == "groups":
            complain(f"run {send.run}: groups are verified with `verify --data-group-id`")
            continue
        found = verify(settings, send, deep=True, wait_s=options.wait, max_wait_s=options.max_wait)
        print_verification(found, as_json=options.json)
        code = code or found.exit_code
    return code


class _Approve:
    """Shows a change and asks, unless it was confirmed beforehand."""

    def __init__(self, *, is_dry: bool, is_confirmed: bool) -> None:
        self._is_dry = is_dry
        self._is_confirmed = is_confirmed

    def __call__(self, work: Work, client: Client) -> str:
        plan = work.plan(client)
        for line in plan.lines:
            complain(line)
        if work.destroys:
            complain(f"This destroys {work.destroys}.")
        if plan.send is None:
            return "Nothing to do."
        if self._is_dry:
            return "Dry run: nothing was sent."
        # what is destroyed needs a yes of its own
        must_ask = not self._is_confirmed or work.destroys
        if must_ask and input("Type yes to do it: ").strip() != "yes":
            raise CancelledError("Not confirmed; the same command continues.")
        return plan.send().text


def _print(result: MigrationResult, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(step) for step in result.steps]))
        return
    rows: list[tuple[Cell, ...]] = []
    for step in result.steps:
        rows += [
            (step.name, send.run, send.staged, send.accepted, send.refused, send.skipped, "")
            for send in step.sends
        ]
        if step.note:
            rows.append((step.name, *[None] * (len(COLUMNS) - 2), step.note.strip()))
    print_table(COLUMNS, rows)


def _announce_cancel() -> None:
    complain("Cancelling: waiting for the requests under way. Press Ctrl-C again to end at once.")


def _range(text: str | None) -> tuple[date, date]:
    from mixpanel_source.config.parsers import parse_range

    if text:
        window = parse_range("--range", text)
        return window.first, window.last
    today = datetime.now(timezone.utc).date()
    return today - timedelta(days=365), today


def _steps(names: list[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        raise ConfigError(f"--steps has {unknown[0]!r}; the steps are {', '.join(STEPS)}.")
    return tuple(names)


def _groups(texts: list[str]) -> dict[str, str]:
    groups: dict[str, str] = {}
    for text in texts:
        key, equals, number = text.partition("=")
        if not equals or not key or not re.fullmatch("-?[0-9]+", number):
            raise ConfigError(f"--group {text!r} must be KEY=ID, such as company=-1405123841946.")
        groups[key] = number
    return groups


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ConfigError(f"--user-id-pattern is not a regular expression: {error.msg}.") from None
    return text
