"""`mixpanel-destination profiles`."""

from __future__ import annotations

import argparse

from mixpanel_source.cli.parser import Commands

from ..changing import add_change_options, run_change
from ..groups import add_group, add_ids, add_member


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    members = add_group(commands, "profiles", summary="Delete profiles of users.")
    parser = add_member(
        members, "delete", run_delete, summary="Delete profiles of users; their events stay."
    )
    add_ids(parser)
    parser.add_argument(
        "--ignore-alias",
        action="store_true",
        help="delete the profile of the id itself, although it is an alias of another one",
    )
    add_change_options(parser, destroys=True)


def run_delete(options: argparse.Namespace) -> int:
    """Carry out `delete`."""
    from ...commands.changes.base import read_ids
    from ...commands.changes.deletions import delete_profiles

    return run_change(
        options,
        lambda _: delete_profiles(
            read_ids(options.ids, options.source), ignore_alias=options.ignore_alias
        ),
    )
