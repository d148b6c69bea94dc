"""`mixpanel-destination import`."""

from __future__ import annotations

import argparse
import json
import time
from threading import Event
from typing import TYPE_CHECKING, Any

from mixpanel_source.cli.output import Column, complain, print_table
from mixpanel_source.cli.parser import Commands, add_command
from mixpanel_source.cli.signals import CancellableClock, run_cancellable
from mixpanel_source.cli.startup import fast_imports

from ..confirm import Confirmation, ProgressLines
from ..options import add_confirmation, add_max_refused, add_project

if TYPE_CHECKING:
    from ...commands.importing import ImportResult
    from ...runs import Send

KINDS = ("events", "profiles", "groups")
OPERATIONS = ("set", "set_once", "union", "unset", "remove", "add", "append")
COLUMNS = (
    Column("run", "run {}"),
    Column("kind"),
    Column("staged", "{} staged", unit=""),
    Column("accepted", "{} accepted", unit=""),
    Column("refused", "{} refused", unit=""),
    Column("not sent", "{} not sent", unit=""),
    Column("requests", unit="request"),
)


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Send events, profiles or groups from a file, a table or a query; shows what would be "
        "sent, and asks."
    )
    parser = add_command(commands, "import", run, summary=summary)
    parser.add_argument("kind", choices=KINDS, help="what the rows are")
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="SOURCE",
        help="file of JSON lines (.jsonl, .jsonl.gz) or Parquet, a directory of them, - for "
        "standard input, a table, or a SELECT",
    )
    add_project(parser)
    parser.add_argument("--dry-run", action="store_true", help="show, and send nothing")
    add_confirmation(parser)
    add_max_refused(parser)
    parser.add_argument(
        "--operation",
        choices=OPERATIONS,
        default="set",
        help="what is done with the properties of profiles and groups (default: set)",
    )
    parser.add_argument("--group-key", metavar="NAME", help="group key of groups")
    parser.add_argument(
        "--insert-id-salt",
        default="",
        metavar="TEXT",
        help="give all events new ids, the same for the same text; after events were deleted",
    )
    parser.add_argument(
        "--keep-arrival",
        action="store_true",
        help="keep mp_processing_time_ms as source_processed_ms",
    )
    parser.add_argument(
        "--locate",
        action="store_true",
        help="let Mixpanel take the place of events and profiles from this machine's address",
    )
    parser.add_argument(
        "--inexact", action="store_true", help="send updates that double if they are repeated"
    )
    parser.add_argument(
        "--again", action="store_true", help="send rows that were sent before, all the same"
    )
    for option, default, help_ in (
        ("--destination", "duckdb", "database of the table or query, any dlt destination with SQL"),
        ("--dataset", "mixpanel", "dataset, or schema, of the table"),
        ("--pipeline", "mixpanel", "name of the dlt pipeline that loaded it"),
    ):
        parser.add_argument(
            option, default=default, metavar="NAME", help=f"{help_} (default: {default})"
        )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.importing import Importer, ImportOptions
        from ...commands.inputs import Database, Input
        from ...commands.target import check_project
        from ...settings import load_settings

    settings = load_settings()
    check_project(settings, options.project_id, same_project=options.same_project)
    confirm = Confirmation(is_confirmed=options.yes, asks=not options.dry_run)
    confirm.check_possible()
    _check(options)
    database = Database(options.destination, options.dataset, options.pipeline)
    rows = Input(options.source, database)
    chosen = ImportOptions(
        kind=options.kind,
        operation=options.operation,
        group_key=options.group_key,
        insert_id_salt=options.insert_id_salt,
        keep_arrival=options.keep_arrival,
        locate=options.locate,
        inexact=options.inexact,
        again=options.again,
        dry_run=options.dry_run,
        refused_share_max=options.max_refused,
    )

    def job(cancelled: Event) -> ImportResult:
        importer = Importer(
            settings,
            chosen,
            clock=CancellableClock(cancelled),
            cancelled=cancelled,
            on_progress=ProgressLines(),
        )
        return importer.run(rows.lines(), confirm, source=options.source)

    started_at = time.monotonic()
    result = run_cancellable(job, on_cancel=_announce_cancel, before_exit=lambda: None)
    print_result(result, time.monotonic() - started_at, as_json=options.json)
    return result.exit_code


def _check(options: argparse.Namespace) -> None:
    from mixpanel_source.errors import ConfigError

    if options.kind == "groups" and not options.group_key:
        raise ConfigError("--group-key is missing: groups need the name of their group key.")
    if options.kind == "events" and options.operation != "set":
        raise ConfigError("--operation is for profiles and groups; events are only added.")


def _announce_cancel() -> None:
    complain("Cancelling: waiting for the requests under way. Press Ctrl-C again to end at once.")


def print_result(result: ImportResult, seconds: float, *, as_json: bool) -> None:
    """Print what was sent, and what was refused."""
    if as_json:
        print(json.dumps(_as_json(result)))
        return
    print_table(COLUMNS, [send_cells(send) for send in result.sends], names=2)
    rows = sum(send.accepted + send.refused for send in result.sends)
    if rows:
        print(f"{rows:,} rows in {seconds:.1f} s ({rows / max(seconds, 0.001):,.0f} rows/s)")
    if result.note:
        print(result.note)
    for send in result.sends:
        if send.refused or send.skipped:
            print(f"To see what was refused: mixpanel-destination status {send.run}")


def send_cells(send: Send) -> tuple[str | int, ...]:
    """The cells of a run; see `COLUMNS`."""
    return (
        send.run,
        send.kind,
        send.staged,
        send.accepted,
        send.refused,
        send.skipped,
        send.requests,
    )


def _as_json(result: ImportResult) -> dict[str, Any]:
    from dataclasses import asdict

    staging = result.staging
    facts: dict[str, Any] = {"runs": [asdict(send) for send in result.sends], "note": result.note}
    if staging is not None:
        summary = staging.summary
        facts["staged"] = {
            "rows": summary.rows,
            "bytes": summary.bytes,
            "not_sent": summary.held,
            "expected_refusals": summary.expected_refusals,
            "problems": dict(summary.problems),
            "changes": dict(summary.changes),
        }
    return facts
