"""The commands and their options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from .. import constants
from ..catalog.tables import DEFAULT_TABLES, TABLE_NAMES
from .asking import run_reconcile, run_request
from .job import run_backfill, run_catch_up, run_sync
from .local import run_demo, run_sandbox
from .questions import run_check, run_plan, run_status

SUMMARY = "Load Mixpanel events, profiles, cohorts and reports into DuckDB, Postgres or elsewhere."
Run = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """A parser that tells what a misspelt command or option may have been meant to be."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - as overridden
        """End at what a command does not know, while it is known which command that is."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown and self.get_default("run"):
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """End with usage, the message and the nearest thing that exists."""
        wrong = re.findall(r"invalid choice: '([^']*)'|(--[a-z][a-z-]*)", message)
        known = [*_iter_words(self)]
        near = [
            match
            for words in wrong
            for word in filter(None, words)
            if word not in known
            for match in get_close_matches(word, known, n=1)
        ]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        super().error(message + hint)


def _iter_words(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        yield from map(str, action.choices or ())
        if isinstance(action.choices, dict):
            for below in action.choices.values():
                yield from _iter_words(below)


def build_parser() -> Parser:
    """All commands and their options."""
    target, output, tables = _target(), _output(), _tables()
    job = (target, _waiting(), _progress(), output)
    parser = Parser(prog="mixpanel-source", description=SUMMARY)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, run: Run, *parents: Parser) -> Parser:
        summary = (run.__doc__ or "").strip()
        command = commands.add_parser(
            name,
            parents=[_common(), *parents],
            help=summary,
            description=summary,
            # a part of an option today may be a part of two tomorrow
            allow_abbrev=False,
        )
        command.set_defaults(run=run)
        return command

    add("sync", run_sync, tables, *job)
    _add_range(add("backfill", run_backfill, *job), required=True)
    add("catch-up", run_catch_up, *job)
    add("check", run_check, tables, output)
    _add_range(add("plan", run_plan, tables, target, output), required=False)
    add("status", run_status, target, output)
    reconcile = add("reconcile", run_reconcile, target, _waiting(), output)
    _add_range(reconcile, required=False)
    reconcile.add_argument(
        "--tolerance",
        default="0.01",
        metavar="SHARE",
        help="share of Mixpanel's count by which the numbers may differ (default: 0.01)",
    )
    _add_request_options(add("request", run_request, target, _waiting()))
    _add_sandbox_options(add("sandbox", run_sandbox))
    add("demo", run_demo)
    return parser


def _common() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _target() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument(
        "--destination", default="duckdb", help="any destination of dlt (default: duckdb)"
    )
    parser.add_argument(
        "--dataset", default=constants.DATASET_NAME, help="dataset, or schema (default: mixpanel)"
    )
    parser.add_argument(
        "--pipeline",
        default=constants.PIPELINE_NAME,
        help="name of the pipeline (default: mixpanel)",
    )
    return parser


def _waiting() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument(
        "--max-wait",
        type=float,
        default=constants.QUOTA_PATIENCE_SECONDS,
        metavar="SECONDS",
        help="longest wait for the quota; after that stop, with exit code 75 (default: 21600)",
    )
    return parser


def _progress() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument(
        "--progress",
        choices=("auto", "log", "off"),
        default="auto",
        help="auto: a live line a table on a terminal, else log; log: a line a window; off: none",
    )
    return parser


def _output() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _tables() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument(
        "--tables",
        type=lambda text: [name.strip() for name in text.split(",") if name.strip()],
        default=list(DEFAULT_TABLES),
        help=f"out of {','.join(TABLE_NAMES)} (default: {','.join(DEFAULT_TABLES)})",
    )
    return parser


def _add_range(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--range", required=required, metavar="FIRST,LAST", help="two days, both inclusive"
    )


def _add_request_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", help="GET or POST")
    parser.add_argument("path", metavar="PATH", help="such as /api/query/events/names")
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter of the query or, with POST, of the form; may be given several times",
    )
    parser.add_argument("--table", metavar="NAME", help="load the rows of the answer into it")


def _add_sandbox_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8088, help="(default: 8088)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="serve the project in DIR")
    parser.add_argument("--plan", choices=("free", "growth"), default="growth")
    parser.add_argument("--fault", action="append", default=[], metavar="KIND[:KEY=VALUE,...]")
