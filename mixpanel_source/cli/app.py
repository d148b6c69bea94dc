"""The program: from arguments to an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from . import commands
from .parser import HelpFormatter, Parser, VersionAction
from .process import end_process
from .program import run_program

SUMMARY = (
    "Load Mixpanel events, profiles, cohorts and reports into DuckDB, Postgres or any other "
    "destination of dlt."
)


def run() -> NoReturn:
    """Run the command of this process, and end the process with its exit code."""
    end_process(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    return run_program(build_parser, arguments)


def build_parser() -> Parser:
    """The parser of the program, with all commands."""
    parser = Parser(prog="mixpanel-source", description=SUMMARY, formatter_class=HelpFormatter)
    parser.add_argument("--version", action=VersionAction)
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in commands.MODULES:
        import_module(f"{commands.__name__}.{name}").add_parser(subparsers)
    for command in subparsers.choices.values():
        command.add_argument(
            "--log-format",
            choices=("text", "json"),
            default="text",
            help="form of the log on standard error; json: one object a line (default: text)",
        )
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser
