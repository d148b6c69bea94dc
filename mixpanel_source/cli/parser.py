"""The argument parser: hints for misspelt words, and help that never breaks a name."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias

NAME_WIDTH = 13
"""Minimum characters for the names of commands and options in a help page."""
Run = Callable[[argparse.Namespace], int]
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
"""Where a command adds its parser."""


class Parser(argparse.ArgumentParser):
    """A parser that suggests the nearest command, option or choice for a misspelt one."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - as overridden
        """Report unknown arguments here, where the command they were given to is known."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown and self.get_default("run"):
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        """Exit with usage, the message and a suggestion."""
        quoted = re.findall(r"invalid choice: '([^']*)'|(--[a-z][a-z-]*)", message)
        words = [word for groups in quoted for word in groups if word]
        known = [*_iter_words(self)]
        unknown = [word for word in words if word not in known]
        near = [match for word in unknown for match in get_close_matches(word, known, n=1)]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        super().error(message + hint)


def _iter_words(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yields every option, command and choice."""
    for action in parser._actions:
        yield from action.option_strings
        yield from map(str, action.choices or ())
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                yield from _iter_words(command)


class HelpFormatter(argparse.HelpFormatter):
    """Wraps between words only, so that no name of a table, an option or a setting is broken.

    argparse also breaks at hyphens and inside long words. Text that has line breaks is kept.
    """

    def __init__(self, prog: str, **options: Any) -> None:  # noqa: ANN401 - as overridden
        """See `argparse.HelpFormatter`."""
        super().__init__(prog, **options)
        # argparse makes the column too narrow for the longest command, which is indented
        self._action_max_length = NAME_WIDTH

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _wrap(" ".join(text.split()), width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines() if "\n" in text else _wrap(text, width - len(indent))
        return "\n".join(indent + line for line in lines)


def _wrap(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def name_list(heading: str, names: Sequence[tuple[str, str]]) -> str:
    """A list of names for the end of a help page: one name and its description after another.

    Args:
        heading: above the list.
        names: (name, description).
    """
    width = argparse.HelpFormatter("")._width
    column = max(len(name) for name, _ in names) + 4
    lines = [
        line
        for name, description in names
        for line in _wrap(f"  {name}".ljust(column) + description, width, " " * column)
    ]
    return "\n".join([f"{heading}:", *lines])


def add_command(commands: Commands, name: str, run: Run, *, summary: str) -> Parser:
    """Add a command, without options yet.

    Args:
        commands: where to add it.
        name: of the command.
        run: carries it out and returns the exit code.
        summary: one sentence for `--help`.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        formatter_class=HelpFormatter,
        # an abbreviation that is unique today may be ambiguous with the next option
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


class VersionAction(argparse.Action):
    """Prints the version; it is looked up only then, because that takes time."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        """See `argparse.Action`."""
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_args: object) -> NoReturn:
        """Print and exit."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("mixpanel-source")
        except PackageNotFoundError:  # a copy of the folder, as `dlt init` makes it
            number = "(not installed)"
        print(f"{parser.prog} {number}")
        parser.exit()
