"""`mixpanel-source request`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from ...errors import MixpanelError
from ..exit_codes import DONE
from ..options import add_max_wait, add_target
from ..output import Column, print_answer, print_table
from ..parser import Commands, add_command
from ..startup import fast_imports
from ..text import for_terminal

COLUMNS = (Column("table"), Column("rows", unit="row"))


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Print the response of any endpoint that reads, or load it into a table; requests that "
        "might change the project are refused."
    )
    parser = add_command(commands, "request", run, summary=summary)
    parser.add_argument("method", metavar="METHOD", help="GET or POST")
    parser.add_argument("path", metavar="PATH", help="such as /api/query/events/names")
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="parameter of the query string or, with POST, of the form; may be repeated",
    )
    parser.add_argument("--table", metavar="NAME", help="load the rows of the response into it")
    add_target(parser)
    add_max_wait(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.request import parse_params, request
        from ...commands.response import check_table, load_response
        from ...config.providers import load_config
        from ...jobs.pipeline import claim_for, location, open_pipeline

    params = parse_params(options.param)
    if options.table is not None:
        check_table(options.table)
        pipeline = open_pipeline(
            options.destination, dataset=options.dataset, name=options.pipeline
        )
        claim_for(pipeline, load_config({}))
    try:
        with request(options.method, options.path, params, max_wait_s=options.max_wait) as response:
            if options.table is None:
                _print(response.chunks())
                return DONE
            rows = load_response(response, options.table, pipeline)
    except MixpanelError as error:
        # who sends a request by hand may see the values in it; with --debug the caller prints it
        if not options.debug:
            print_answer(error)
        raise
    print_table(COLUMNS, [(options.table, rows)])
    print(f"in {location(pipeline)}")
    return DONE


def _print(chunks: Iterable[bytes]) -> None:
    """Print a body: byte by byte into a file or pipe, harmless on a terminal."""
    if sys.stdout.isatty():
        for text in for_terminal(chunks):
            print(text, end="")
    else:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
    sys.stdout.flush()
