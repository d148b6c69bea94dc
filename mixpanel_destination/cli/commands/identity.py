"""`mixpanel-destination identity`."""

from __future__ import annotations

import argparse

from mixpanel_source.cli.parser import Commands

from ..changing import add_change_options, run_change
from ..groups import add_group, add_member


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    summary = "Connect ids of one person, in a project with the original identity management."
    members = add_group(commands, "identity", summary=summary)
    parser = add_member(
        members, "identify", run_identify, summary="Connect an anonymous id to a user."
    )
    parser.add_argument("--anonymous", required=True, metavar="UUID", help="id of the device")
    parser.add_argument("--user", required=True, metavar="ID", help="distinct id of the user")
    add_change_options(parser)
    parser = add_member(members, "alias", run_alias, summary="Give a distinct id an alias.")
    parser.add_argument("--distinct-id", required=True, metavar="ID", help="the known id")
    parser.add_argument("--alias", required=True, metavar="ID", help="the new one")
    add_change_options(parser)
    parser = add_member(members, "merge", run_merge, summary="Merge two distinct ids.")
    parser.add_argument("ids", nargs=2, metavar="ID")
    add_change_options(parser)


def run_identify(options: argparse.Namespace) -> int:
    """Carry out `identify`."""
    from ...commands.changes.identities import identify

    return run_change(options, lambda _: identify(options.anonymous, options.user))


def run_alias(options: argparse.Namespace) -> int:
    """Carry out `alias`."""
    from ...commands.changes.identities import alias

    return run_change(options, lambda _: alias(options.distinct_id, options.alias))


def run_merge(options: argparse.Namespace) -> int:
    """Carry out `merge`."""
    from ...commands.changes.identities import merge

    return run_change(options, lambda _: merge(*options.ids))
