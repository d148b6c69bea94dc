"""The command line: `mixpanel-destination COMMAND`."""

from .app import build_parser, main, run

__all__ = ["build_parser", "main", "run"]
