"""The command line: `mixpanel-destination COMMAND`."""

from .app import build_parser, main

__all__ = ["build_parser", "main"]
