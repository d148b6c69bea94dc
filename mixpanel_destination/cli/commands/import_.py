"""`mixpanel-destination import`."""

from __future__ import annotations

import argparse

from mixpanel_source.cli.parser import Commands, add_command
from mixpanel_source.cli.startup import fast_imports

from ..confirm import Confirmation
from ..job import run_import
from ..options import add_confirmation, add_inexact, add_max_refused, add_project

KINDS = ("events", "profiles", "groups")
OPERATIONS = ("set", "set_once", "union", "unset", "remove", "add", "append")


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
        "--project-timezone",
        default="",
        metavar="ZONE",
        help="IANA zone of `time`, for the raw export of a project made before 2023 (default: UTC)",
    )
    parser.add_argument(
        "--locate",
        action="store_true",
        help="let Mixpanel take the place of events and profiles from this machine's address",
    )
    add_inexact(parser)
    parser.add_argument(
        "--again", action="store_true", help="send rows that were sent before, all the same"
    )
    parser.add_argument(
        "--skip-sent",
        action="store_true",
        help="leave out events that earlier runs on this machine have sent",
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
        from mixpanel_source.config.parsers import parse_zone

        from ...commands.importing import ImportOptions
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
        timezone=parse_zone("--project-timezone", options.project_timezone or "UTC"),
        locate=options.locate,
        inexact=options.inexact,
        in_flight=options.in_flight,
        again=options.again,
        skip_sent=options.skip_sent,
        dry_run=options.dry_run,
        refused_share_max=options.max_refused,
    )

    return run_import(
        settings,
        chosen,
        rows.lines(),
        confirm,
        source=options.source,
        as_json=options.json,
    )


def _check(options: argparse.Namespace) -> None:
    from mixpanel_source.errors import ConfigError

    if options.kind == "groups" and not options.group_key:
        raise ConfigError("--group-key is missing: groups need the name of their group key.")
    if options.kind == "events" and options.operation != "set":
        raise ConfigError("--operation is for profiles and groups; events are only added.")
    if options.kind != "events" and options.skip_sent:
        raise ConfigError("--skip-sent is for events; a profile may change back.")
