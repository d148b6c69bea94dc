"""Options that several commands share."""

from __future__ import annotations

import argparse

from mixpanel_source.cli.parser import Parser

PERCENT = 100


def add_project(parser: Parser) -> None:
    """Add `--project-id`."""
    parser.add_argument(
        "--project-id",
        type=int,
        required=True,
        metavar="N",
        help="project to write to; must be that of [destination.mixpanel]",
    )


def add_confirmation(parser: Parser) -> None:
    """Add `--yes` and `--same-project`."""
    parser.add_argument("--yes", action="store_true", help="send without asking")
    parser.add_argument(
        "--same-project",
        action="store_true",
        help="write to the project that [sources.mixpanel] reads",
    )


def add_max_refused(parser: Parser) -> None:
    """Add `--max-refused`."""
    parser.add_argument(
        "--max-refused",
        type=parse_percent,
        default=0.01,
        metavar="PERCENT",
        help="stop when Mixpanel refuses more than this share of the rows that seemed valid "
        "(default: 1%%)",
    )


def add_inexact(parser: Parser) -> None:
    """Add `--inexact` and `--in-flight`."""
    parser.add_argument(
        "--inexact", action="store_true", help="send updates that double if they are repeated"
    )
    parser.add_argument(
        "--in-flight",
        choices=("resend", "skip"),
        default="",
        help="what to do with such updates that may have been carried out before an interruption",
    )


def parse_percent(text: str) -> float:
    """The share of a percentage such as `1`, `0.5%` or `100%`.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        share = float(text.strip().removesuffix("%")) / PERCENT
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage from 0 to 100")
    return share
