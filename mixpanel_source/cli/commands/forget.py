"""`mixpanel-source forget`."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from ..exit_codes import DONE
from ..options import add_json, add_target
from ..output import Column, print_table
from ..parser import Commands, add_command
from ..startup import fast_imports
from ..text import count

if TYPE_CHECKING:
    from ...commands.forget import ForgetResult

COLUMNS = (Column("table"), Column("rows", "{} removed", unit="row"))


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Remove persons from every table and never load them again; sends no request, and deletes "
        "nothing at Mixpanel."
    )
    parser = add_command(commands, "forget", run, summary=summary)
    parser.add_argument(
        "ids",
        nargs="+",
        metavar="ID",
        help="a distinct_id of a person; give all ids that the person has",
    )
    add_target(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.forget import forget

    result = forget(
        options.ids,
        destination=options.destination,
        dataset=options.dataset,
        name=options.pipeline,
    )
    if options.json:
        print(json.dumps({"rows": dict(result.rows), "ids_remembered": result.remembered}))
    else:
        _print(result, len({*options.ids}))
    return DONE


def _print(result: ForgetResult, ids: int) -> None:
    print_table(COLUMNS, [*result.rows.items()])
    rows = count(sum(result.rows.values()), "row")
    print(f"{rows} of {count(ids, 'id')} removed; {result.remembered:,} newly remembered")
    print("Mixpanel still has the data; to delete it there, request a deletion from Mixpanel.")
