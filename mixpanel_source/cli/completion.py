"""The command `completion`, which both programs have."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from .exit_codes import DONE
from .parser import Commands, Parser, add_command

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")


def add_completion(commands: Commands, build_parser: Callable[[], Parser]) -> None:
    """Declare the command.

    Args:
        commands: where to add it.
        build_parser: of the program.
    """

    def run(options: argparse.Namespace) -> int:
        import shtab

        print(shtab.complete(build_parser(), options.shell))
        return DONE

    summary = "Print a script that makes the shell complete commands and options with Tab."
    parser = add_command(commands, "completion", run, summary=summary)
    parser.add_argument("shell", choices=SHELLS, help="the shell that will run the script")
