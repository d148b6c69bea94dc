"""`mixpanel-destination lexicon`."""

from __future__ import annotations

import argparse

from mixpanel_source.cli.parser import Commands

from ..changing import add_change_options, run_change
from ..groups import add_group, add_member


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    members = add_group(commands, "lexicon", summary="Describe events and properties.")
    parser = add_member(
        members, "push", run_push, summary="Create or replace the Lexicon entries of a file."
    )
    parser.add_argument("file", metavar="FILE", help="JSON or JSON lines, or - for standard input")
    parser.add_argument("--truncate", action="store_true", help="delete the whole Lexicon first")
    add_change_options(parser, destroys=True)


def run_push(options: argparse.Namespace) -> int:
    """Carry out `push`."""
    from ...commands.changes.lexicon import push

    return run_change(options, lambda _: push(options.file, truncate=options.truncate))
