"""`mixpanel-destination groups`."""

from __future__ import annotations

import argparse

from mixpanel_source.cli.parser import Commands

from ..changing import add_change_options, run_change
from ..groups import add_group, add_ids, add_member


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    members = add_group(commands, "groups", summary="Delete profiles of groups.")
    parser = add_member(
        members, "delete", run_delete, summary="Delete profiles of groups; their events stay."
    )
    add_ids(parser)
    parser.add_argument("--group-key", required=True, metavar="NAME", help="such as company")
    add_change_options(parser, destroys=True)


def run_delete(options: argparse.Namespace) -> int:
    """Carry out `delete`."""
    from ...commands.changes.base import read_ids
    from ...commands.changes.deletions import delete_groups

    return run_change(
        options,
        lambda _: delete_groups(options.group_key, read_ids(options.ids, options.source)),
    )
