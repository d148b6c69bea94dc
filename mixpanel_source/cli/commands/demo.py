"""`mixpanel-source demo`."""

from __future__ import annotations

import argparse
import sys

from ... import constants
from ...catalog.tables import DEFAULT_TABLES
from ..job_output import print_result
from ..parser import Commands, add_command
from .sandbox import unlimited_sandbox

QUERY = (
    "SELECT event, count(*) AS events, count(DISTINCT distinct_id) AS users "
    "FROM mixpanel.export GROUP BY event ORDER BY events DESC LIMIT 10"
)
SHOW = f"import duckdb; duckdb.connect('{constants.DUCKDB_FILE}').sql('{QUERY}').show()"
NEXT_STEPS = f"""
These were made-up events. To see the most frequent of them:
  {sys.executable} -c "{SHOW}"
To look at them in the browser: mixpanel-source open
To load your own project, delete the made-up data, because a dataset holds one project:
  rm {constants.DUCKDB_FILE} && mixpanel-source init && mixpanel-source sync"""


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = f"Load a made-up project into {constants.DUCKDB_FILE}; no account needed."
    add_command(commands, "demo", run, summary=summary)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    from ...jobs.sync import sync

    with unlimited_sandbox() as sandbox:
        result = sync(
            (*DEFAULT_TABLES, "cohorts"),
            username=sandbox.username,
            secret=sandbox.secret,
            project_id=sandbox.project.project_id,
            base_url=sandbox.url,
            export_base_url=sandbox.url,
            anchor_date=min(sandbox.project.events),
            # a local server needs no pacing
            requests_per_second=100,
            requests_per_hour=0,
        )
    print_result(result, debug=options.debug)
    print(NEXT_STEPS)
    return result.exit_code
