"""The program: from arguments to an exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from ..errors import MixpanelError
from . import commands
from .exit_codes import FAILED, INTERRUPTED
from .output import print_errors, print_traceback
from .parser import HelpFormatter, Parser, VersionAction
from .startup import set_up_logging

SUMMARY = (
    "Load Mixpanel events, profiles, cohorts and reports into DuckDB, Postgres or any other "
    "destination of dlt."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = build_parser().parse_args(arguments)
    set_up_logging(options)
    run: Callable[[Any], int] = options.run
    try:
        return run(options)
    except MixpanelError as error:
        print_errors([error], debug=options.debug)
        return error.exit_code
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of a pipe has closed it: discard the rest, also when Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: one line, and an exit code
        if options.debug:
            print_traceback(error)
        # only the type: the text may contain a value
        print(
            f"error: unexpected {type(error).__name__}; this is a bug, please report it. What is "
            "loaded is safe; --debug shows where it happened.",
            file=sys.stderr,
        )
        return FAILED
    finally:
        # undo the freeze of `fast_imports`: DuckDB warns about objects that outlive the program
        gc.unfreeze()


def build_parser() -> Parser:
    """The parser of the program, with all commands."""
    parser = Parser(prog="mixpanel-source", description=SUMMARY, formatter_class=HelpFormatter)
    parser.add_argument("--version", action=VersionAction)
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in commands.MODULES:
        import_module(f"{commands.__name__}.{name}").add_parser(subparsers)
    for command in subparsers.choices.values():
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser
