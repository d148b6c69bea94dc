"""`mixpanel-source sync`."""

from __future__ import annotations

import argparse
from functools import partial

from ..job import add_job_options, run_job
from ..options import add_engine, add_from_archive, add_tables
from ..parser import Commands, add_command
from ..projects import tables_of
from ..startup import fast_imports


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = "Bring the selected tables up to date; safe to run at any time."
    parser = add_command(commands, "sync", run, summary=summary)
    add_tables(parser)
    add_from_archive(parser)
    add_engine(parser)
    add_job_options(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from ...config.tables import check_tables

    check_tables(options.tables)
    with fast_imports():
        from ...jobs.sync import run_sync

    return run_job(
        run_sync,
        options,
        name="sync",
        tables=partial(tables_of, options),
        from_archive=options.from_archive,
        engine=options.engine,
        engine_workers=options.engine_workers,
    )
