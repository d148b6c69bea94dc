"""`mixpanel-destination annotations`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mixpanel_source.cli.parser import Commands
from mixpanel_source.errors import ConfigError

from ..changing import add_change_options, run_change
from ..groups import add_group, add_member

if TYPE_CHECKING:
    from ...commands.changes.base import Work

TAG_HELP = "name of a tag; may be repeated"


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    members = add_group(commands, "annotations", summary="Add, edit or delete annotations.")
    parser = add_member(
        members, "add", run_add, summary="Add annotations, except for those that are there."
    )
    parser.add_argument("--date", metavar="DATE", help="YYYY-MM-DD, or with HH:MM:SS after it")
    parser.add_argument("--description", metavar="TEXT", help="of one annotation")
    parser.add_argument("--tag", action="append", default=[], metavar="NAME", help=TAG_HELP)
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FILE",
        help="JSON lines with date, description and tags, or - for standard input",
    )
    add_change_options(parser)
    parser = add_member(members, "edit", run_edit, summary="Change an annotation.")
    parser.add_argument("id", type=int, metavar="ID")
    parser.add_argument("--description", metavar="TEXT", help="the new one")
    parser.add_argument("--tag", action="append", metavar="NAME", help=f"{TAG_HELP}; replaces all")
    add_change_options(parser)
    parser = add_member(members, "delete", run_delete, summary="Delete an annotation.")
    parser.add_argument("id", type=int, metavar="ID")
    add_change_options(parser, destroys=True)


def run_add(options: argparse.Namespace) -> int:
    """Carry out `add`."""
    return run_change(options, lambda _: _prepare_add(options))


def run_edit(options: argparse.Namespace) -> int:
    """Carry out `edit`."""
    from ...commands.changes.chart_annotations import edit

    return run_change(
        options, lambda _: edit(options.id, description=options.description, tags=options.tag)
    )


def run_delete(options: argparse.Namespace) -> int:
    """Carry out `delete`."""
    from ...commands.changes.chart_annotations import delete

    return run_change(options, lambda _: delete(options.id))


def _prepare_add(options: argparse.Namespace) -> Work:
    from ...commands.changes.chart_annotations import add, parse, read_annotations

    if options.source is None:
        return add([parse(options.date, options.description, options.tag)])
    if options.date or options.description or options.tag:
        raise ConfigError("--from has dates, descriptions and tags of its own: give no others.")
    return add(read_annotations(options.source))
