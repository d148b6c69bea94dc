"""`mixpanel-source mcp`."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from ....errors import ConfigError
from ...exit_codes import DONE
from ...options import add_target, parse_duration
from ...parser import Commands, add_command
from ...startup import fast_imports

SECONDS = 30.0


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Serve what is loaded to an agent, read-only, by the Model Context Protocol on standard "
        "input and output."
    )
    parser = add_command(commands, "mcp", run, summary=summary)
    parser.add_argument(
        "--allow-sync", action="store_true", help="also offer a tool that starts a sync"
    )
    parser.add_argument(
        "--timeout",
        type=parse_duration,
        default=SECONDS,
        metavar="DURATION",
        help=f"maximum time of a query (default: {SECONDS:g}s)",
    )
    add_target(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    if find_spec("mcp") is None:
        raise ConfigError(
            "The server needs packages that are not installed: pip install 'mixpanel-source[mcp]'."
        )
    with fast_imports():
        from ....mcp.dataset import Dataset
        from ....mcp.server import serve

    dataset = Dataset(options.destination, options.dataset, options.pipeline, options.timeout)
    serve(dataset, allow_sync=options.allow_sync)
    return DONE
