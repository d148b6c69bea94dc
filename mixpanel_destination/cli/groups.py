"""Commands that have commands of their own, such as `annotations add`."""

from __future__ import annotations

from mixpanel_source.cli.parser import Commands, HelpFormatter, Parser, Run, add_command

IDS_HELP = "file with an id in each line, or - for standard input"


def add_group(commands: Commands, name: str, *, summary: str) -> Commands:
    """Add a command that only has commands; returns where to add them."""
    parser = commands.add_parser(
        name, help=summary, description=summary, formatter_class=HelpFormatter, allow_abbrev=False
    )
    return parser.add_subparsers(title="commands", required=True, metavar="COMMAND")


def add_member(members: Commands, name: str, run: Run, *, summary: str) -> Parser:
    """Add a command to a group."""
    parser = add_command(members, name, run, summary=summary)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_ids(parser: Parser) -> None:
    """Add the ids a command is for."""
    parser.add_argument("ids", nargs="*", metavar="ID")
    parser.add_argument("--from", dest="source", metavar="FILE", help=IDS_HELP)
