"""`mixpanel-source check`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from ...catalog.tables import find_table
from ...errors import MixpanelError, PausedError
from ..exit_codes import DONE, FAILED, LATER
from ..options import add_json, add_tables
from ..output import Column, print_answer, print_table
from ..parser import Commands, add_command
from ..startup import fast_imports

COLUMNS = (Column("table"), Column("result", wraps=True))
CLASSIFIED = (
    "if the role of the account may not see sensitive data, properties classified as sensitive are "
    "missing without an error"
)
"""Mixpanel leaves them out, by default for every custom role, and does not say so."""


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = "Check whether the tables would load; 1 request for each, and 1 that is unmetered."
    parser = add_command(commands, "check", run, summary=summary)
    add_tables(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.check import check

    results = check(options.tables)
    if options.json:
        print(json.dumps({table: error and str(error) for table, error in results.items()}))
    else:
        print_results(results)
    failures = [error for error in results.values() if error]
    if options.debug:
        for failure in failures:
            print_answer(failure)
    if failures and all(isinstance(error, PausedError) for error in failures):
        return LATER
    return FAILED if failures else DONE


def print_results(results: Mapping[str, MixpanelError | None]) -> None:
    """Print whether each table would load."""
    print_table(COLUMNS, [_row(table, error) for table, error in results.items()])
    loadable = [table for table, error in results.items() if error is None]
    if any(find_table(table).has_properties for table in loadable):
        print(CLASSIFIED)


def _row(table: str, error: MixpanelError | None) -> tuple[str, str]:
    if error is None:
        return table, "will load"
    if error.subject.startswith(table):
        return error.subject, error.reason
    return table, str(error)
