"""`mixpanel-source backfill`."""

from __future__ import annotations

import argparse

from ..job import add_job_options, run_job
from ..options import add_engine, add_from_archive, add_range
from ..parser import Commands, add_command
from ..startup import fast_imports


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = "Load the events of a range of days, without changing where the next sync starts."
    parser = add_command(commands, "backfill", run, summary=summary)
    add_range(parser, "days to load", required=True)
    add_from_archive(parser)
    add_engine(parser)
    add_job_options(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from ...config.parsers import parse_range

    parse_range("range", options.range)
    with fast_imports():
        from ...jobs.sync import run_backfill

    return run_job(
        lambda _, context, pipeline: run_backfill(context, pipeline),
        options,
        name="backfill",
        tables=lambda _: ["export"],
        from_archive=options.from_archive,
        engine=options.engine,
        engine_workers=options.engine_workers,
        range=options.range,
    )
