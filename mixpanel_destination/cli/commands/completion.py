"""`mixpanel-destination completion`."""

from __future__ import annotations

from mixpanel_source.cli.completion import add_completion
from mixpanel_source.cli.parser import Commands, Parser


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    add_completion(commands, _build_parser)


def _build_parser() -> Parser:
    from ..app import build_parser

    return build_parser()
