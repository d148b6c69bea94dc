"""`mixpanel-source check`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...catalog.tables import find_table
from ...errors import MixpanelError, PausedError
from ..exit_codes import DONE, FAILED, LATER
from ..options import add_json, add_projects, add_tables
from ..output import Column, print_answer, print_table
from ..parser import Commands, add_command
from ..projects import run_reading, tables_of
from ..startup import fast_imports

if TYPE_CHECKING:
    from ...config.projects import ProjectSettings

Results = dict[str, MixpanelError | None]
"""Table -> why it would not load; None if it would."""
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
    add_projects(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.check import check

    def read(project: ProjectSettings) -> Results:
        results = check(tables_of(options, project), **project.settings)
        if options.debug:
            for failure in filter(None, results.values()):
                print_answer(failure)
        return results

    return run_reading(options, read, as_json=_as_json, show=print_results, exit_code=_exit_code)


def _as_json(results: Results) -> dict[str, str | None]:
    return {table: None if error is None else str(error) for table, error in results.items()}


def _exit_code(results: Results) -> int:
    failures = [error for error in results.values() if error]
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
