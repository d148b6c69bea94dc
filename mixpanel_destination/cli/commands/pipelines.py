"""`mixpanel-destination pipelines`."""

from __future__ import annotations

import argparse

from mixpanel_source.cli.parser import Commands, Parser

from ...pipeline_fields import PIPELINE_FIELDS
from ..changing import add_change_options, run_change
from ..groups import add_group, add_member


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    summary = "Create, edit, pause, resume or cancel data pipelines."
    members = add_group(commands, "pipelines", summary=summary)
    parser = add_member(members, "create", run_create, summary="Create a data pipeline.")
    parser.add_argument("--type", required=True, choices=[*PIPELINE_FIELDS], help="where to")
    _add_fields(parser)
    add_change_options(parser)
    parser = add_member(members, "edit", run_edit, summary="Change a data pipeline.")
    parser.add_argument("name", metavar="NAME")
    _add_fields(parser)
    add_change_options(parser)
    for name, summary in (
        ("pause", "Pause a data pipeline."),
        ("resume", "Resume a data pipeline."),
        ("cancel", "Delete a data pipeline with its history."),
    ):
        parser = add_member(members, name, run_act, summary=summary)
        parser.set_defaults(action=name)
        parser.add_argument("name", metavar="NAME")
        add_change_options(parser, destroys=name == "cancel")


def run_create(options: argparse.Namespace) -> int:
    """Carry out `create`."""
    from ...commands.changes.pipelines import create, parse_fields

    return run_change(options, lambda _: create(options.type, parse_fields(options.field)))


def run_edit(options: argparse.Namespace) -> int:
    """Carry out `edit`."""
    from ...commands.changes.pipelines import edit, parse_fields

    return run_change(options, lambda _: edit(options.name, parse_fields(options.field)))


def run_act(options: argparse.Namespace) -> int:
    """Carry out `pause`, `resume` or `cancel`."""
    from ...commands.changes.pipelines import act

    return run_change(options, lambda _: act(options.action, options.name))


def _add_fields(parser: Parser) -> None:
    parser.add_argument(
        "-p",
        "--param",
        dest="field",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="field of the pipeline, @FILE instead of VALUE for a secret; may be repeated",
    )
