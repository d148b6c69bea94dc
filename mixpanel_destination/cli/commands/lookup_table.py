"""`mixpanel-destination lookup-table`."""

from __future__ import annotations

import argparse

from mixpanel_source.cli.parser import Commands

from ..changing import add_change_options, run_change
from ..groups import add_group, add_member


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    members = add_group(commands, "lookup-table", summary="Replace a lookup table.")
    parser = add_member(
        members, "replace", run_replace, summary="Replace all rows of a lookup table."
    )
    parser.add_argument("table", metavar="TABLE", help="id or name of the lookup table")
    parser.add_argument(
        "file", metavar="FILE", help="CSV whose first column is the key, or - for standard input"
    )
    add_change_options(parser)


def run_replace(options: argparse.Namespace) -> int:
    """Carry out `replace`."""
    from ...commands.changes.lookup_tables import replace

    return run_change(options, lambda _: replace(options.table, options.file))
