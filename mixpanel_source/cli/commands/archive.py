"""`mixpanel-source archive`."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from ...catalog.tables import DEFAULT_TABLES
from ..job import announce_cancelled, run_shown
from ..options import (
    add_accept_deletions,
    add_json,
    add_max_wait,
    add_metrics_file,
    add_progress,
    add_range,
    parse_names,
)
from ..output import Column, print_errors, print_table
from ..parser import Commands, add_command
from ..startup import fast_imports
from ..text import count

if TYPE_CHECKING:
    from ...jobs.archive import ArchiveResult
    from ...tables.context import LoadContext

COLUMNS = (Column("table"), Column("files", unit="file"), Column("rows", unit="row"))


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Keep what Mixpanel serves in files, one for each day of events and one for the profiles; "
        "loads nothing into a database."
    )
    parser = add_command(commands, "archive", run, summary=summary)
    parser.add_argument(
        "--to", required=True, metavar="DIR", help="directory of the archive, which is created"
    )
    parser.add_argument(
        "--tables",
        type=parse_names,
        default=list(DEFAULT_TABLES),
        metavar="NAMES",
        help="export, engage or both, separated by commas (default: export,engage)",
    )
    add_range(parser, "days to archive; from anchor_date to yesterday without it")
    add_accept_deletions(parser)
    add_max_wait(parser)
    add_metrics_file(parser)
    add_progress(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from ...config.tables import check_tables

    check_tables(options.tables)
    with fast_imports():
        from ...jobs.archive import archive_config, run_archive
        from ...jobs.reporting.report import ARCHIVE, reported

    settings = {"accept_deletions": "true"} if options.accept_deletions else {}
    if options.metrics_file:
        settings["metrics_file"] = options.metrics_file
    with reported(ARCHIVE, settings) as report:

        def keep(context: LoadContext) -> ArchiveResult:
            report.start(options.tables, context)
            return report.end(run_archive(options.tables, context))

        config = archive_config(options.to, options.range, settings)
        result = run_shown(keep, config, options, tables=options.tables)
    _print(result, as_json=options.json, debug=options.debug)
    announce_cancelled(result.failures, "archived")
    return result.exit_code


def _print(result: ArchiveResult, *, as_json: bool, debug: bool) -> None:
    if as_json:
        summary = {
            "files": dict(result.files),
            "rows": dict(result.rows),
            "requests": result.requests,
            "requests_left": dict(result.requests_left),
            "archive": result.location,
            "failures": {str(table): str(error) for table, error in result.failures.items()},
        }
        print(json.dumps(summary))
    else:
        print_table(COLUMNS, [(name, n, result.rows[name]) for name, n in result.files.items()])
        print(f"{count(result.files.total(), 'file')} added to {result.location}")
        print(count(result.requests, "request"))
    print_errors(result.failures.values(), debug=debug)
