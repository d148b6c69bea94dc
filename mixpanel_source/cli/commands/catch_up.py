"""`mixpanel-source catch-up`."""

from __future__ import annotations

import argparse

from ..job import add_job_options, run_job
from ..parser import Commands, add_command
from ..startup import fast_imports


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Load events that arrived after their day was last read; 1 request, and 1 for each day "
        "that has such events."
    )
    add_job_options(add_command(commands, "catch-up", run, summary=summary))


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...jobs.sync import run_catch_up

    return run_job(
        lambda _, context, pipeline: run_catch_up(context, pipeline),
        options,
        name="catch-up",
        tables=lambda _: ["export"],
        catches_up=True,
    )
