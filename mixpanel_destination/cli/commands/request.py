"""`mixpanel-destination request`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mixpanel_source.cli.parser import Commands, add_command

from ..changing import add_change_options, run_change

if TYPE_CHECKING:
    from ...commands.changes.base import Work
    from ...settings import Settings


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = "Send any other request that changes the project, as you write it."
    parser = add_command(commands, "request", run, summary=summary)
    parser.add_argument("method", metavar="METHOD", help="POST, PUT, PATCH or DELETE")
    parser.add_argument(
        "path", metavar="PATH", help="such as /api/app/projects/{project_id}/annotations"
    )
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="parameter of the query string; may be repeated",
    )
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="the body, or - for standard input; {token} in it becomes the project's token",
    )
    parser.add_argument(
        "--content-type",
        default="application/json",
        metavar="TYPE",
        help="of the body (default: application/json)",
    )
    add_change_options(parser, destroys=True)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    return run_change(options, lambda settings: _prepare(options, settings))


def _prepare(options: argparse.Namespace, settings: Settings) -> Work:
    from ...commands.changes.base import read_text
    from ...commands.changes.custom import parse_params, request

    return request(
        options.method,
        options.path,
        params=parse_params(options.param),
        body=read_text(options.data).encode() if options.data else None,
        content_type=options.content_type,
        settings=settings,
    )
