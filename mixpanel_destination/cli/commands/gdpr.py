"""`mixpanel-destination gdpr`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from mixpanel_source.cli.parser import Commands, Parser

from ..changing import add_change_options, run_change
from ..groups import add_group, add_ids, add_member

if TYPE_CHECKING:
    from ...commands.changes.base import Work
    from ...settings import Settings

COMPLIANCE_TYPES = ("GDPR", "CCPA")


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    summary = "Ask Mixpanel to delete or hand over the data of persons."
    members = add_group(commands, "gdpr", summary=summary)
    parser = add_member(
        members, "delete", run_delete, summary="Delete persons with all of their events."
    )
    _add_persons(parser)
    add_change_options(parser, destroys=True)
    parser = add_member(
        members, "retrieve", run_retrieve, summary="Have the data of persons put together."
    )
    _add_persons(parser)
    add_change_options(parser)
    parser = add_member(
        members, "cancel", run_cancel, summary="Cancel a deletion that has not begun."
    )
    parser.add_argument("task_id", metavar="TASK", help="as `gdpr delete` printed it")
    add_change_options(parser)


def run_delete(options: argparse.Namespace) -> int:
    """Carry out `delete`."""
    from ...commands.changes.base import read_ids
    from ...commands.changes.persons import delete

    return _run(
        options,
        lambda: delete(read_ids(options.ids, options.source), compliance=options.compliance),
    )


def run_retrieve(options: argparse.Namespace) -> int:
    """Carry out `retrieve`."""
    from ...commands.changes.base import read_ids
    from ...commands.changes.persons import retrieve

    return _run(
        options,
        lambda: retrieve(read_ids(options.ids, options.source), compliance=options.compliance),
    )


def run_cancel(options: argparse.Namespace) -> int:
    """Carry out `cancel`."""
    from ...commands.changes.persons import cancel

    return _run(options, lambda: cancel(options.task_id))


def _run(options: argparse.Namespace, prepare: Callable[[], Work]) -> int:
    from ...commands.changes.persons import check_settings

    def check_and_prepare(settings: Settings) -> Work:
        check_settings(settings)
        return prepare()

    return run_change(options, check_and_prepare)


def _add_persons(parser: Parser) -> None:
    add_ids(parser)
    parser.add_argument(
        "--compliance", choices=COMPLIANCE_TYPES, default="GDPR", help="(default: GDPR)"
    )
