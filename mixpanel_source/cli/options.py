"""Options that several commands share."""

from __future__ import annotations

import argparse
import re
from typing import Any

from .. import constants
from ..catalog.tables import ALL_REPORTS, DEFAULT_TABLES, TABLES
from ..config.lists import ListTextError, parse_list
from .parser import Parser, name_list
from .text import DAY_S, HOUR_S, MINUTE_S

_UNITS_S = {"": 1, "s": 1, "m": MINUTE_S, "h": HOUR_S, "d": DAY_S}
DURATION_FORMS = "seconds (90 or 90s), minutes (30m), hours (6h) or days (2d)"


def parse_duration(text: str) -> float:
    """The seconds of a duration such as `90`, `90s`, `30m`, `6h` or `2d`.

    Raises:
        argparse.ArgumentTypeError: it has another form.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration; give {DURATION_FORMS}")
    return float(match[1]) * _UNITS_S[match[2]]


def parse_names(text: str) -> list[str]:
    """The names in a list with commas or in JSON; blank ones are left out.

    Raises:
        argparse.ArgumentTypeError: it begins like JSON, but is not a JSON list of names.
    """
    try:
        names = parse_list(text)
    except ListTextError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None
    if not all(isinstance(name, str) for name in names):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names")
    return [name for name in names if name.strip()]


class StoreGiven(argparse.Action):
    """Stores a value, and remembers that it was on the command line; see `is_given`."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401 - as overridden
        *_option: object,
    ) -> None:
        """See `argparse.Action`."""
        setattr(namespace, self.dest, values)
        namespace.given = {*getattr(namespace, "given", ()), self.dest}


def is_given(options: argparse.Namespace, option: str) -> bool:
    """Whether an option was on the command line."""
    return option in getattr(options, "given", ())


def add_projects(parser: Parser) -> None:
    """Add `--projects`."""
    parser.add_argument(
        "--projects",
        type=parse_names,
        metavar="NAMES",
        help="configured projects, separated by commas, or all; one after the other, each with a "
        "dataset and a pipeline of its own",
    )


def add_target(parser: Parser) -> None:
    """Add the options that name the destination."""
    for option, default, help_ in (
        ("--destination", "duckdb", "any dlt destination, such as postgres"),
        ("--dataset", constants.DATASET_NAME, "dataset, or schema, of the tables"),
        ("--pipeline", constants.PIPELINE_NAME, "name of the dlt pipeline"),
    ):
        parser.add_argument(
            option,
            action=StoreGiven,
            default=default,
            metavar="NAME",
            help=f"{help_} (default: {default})",
        )


def add_tables(parser: Parser) -> None:
    """Add `--tables`, and the list of tables to the end of the help."""
    defaults = ",".join(DEFAULT_TABLES)
    parser.add_argument(
        "--tables",
        action=StoreGiven,
        type=parse_names,
        default=list(DEFAULT_TABLES),
        metavar="NAMES",
        help=f"tables, separated by commas; listed below (default: {defaults})",
    )
    names = [(table.name, table.holds) for table in TABLES]
    every = (ALL_REPORTS, "every table above that has a report declared in config.toml")
    parser.epilog = name_list("tables", [*names, every])


def add_range(parser: Parser, help_: str, *, required: bool = False) -> None:
    """Add `--range`; `help_` says what the days are for."""
    parser.add_argument(
        "--range",
        required=required,
        metavar="FIRST,LAST",
        help=f"{help_}: first and last, both inclusive, as YYYY-MM-DD",
    )


def add_accept_deletions(parser: Parser) -> None:
    """Add `--accept-deletions`."""
    parser.add_argument(
        "--accept-deletions",
        action="store_true",
        help="delete events of settled days that Mixpanel no longer serves, instead of keeping "
        "them",
    )


def add_archive(parser: Parser) -> None:
    """Add `--archive`."""
    parser.add_argument(
        "--archive",
        action=StoreGiven,
        metavar="DIR",
        help="also keep what Mixpanel serves in files of this directory, one for each day",
    )


def add_from_archive(parser: Parser) -> None:
    """Add `--from-archive`."""
    parser.add_argument(
        "--from-archive",
        action=StoreGiven,
        metavar="DIR",
        help="load from the files of an archive instead of from Mixpanel; no request",
    )


def add_engine(parser: Parser) -> None:
    """Add `--engine` and `--engine-workers`."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="where events are decoded: local, in this process; ray, on a Ray cluster, for the "
        "destinations delta and iceberg (default: local)",
    )
    parser.add_argument(
        "--engine-workers",
        type=int,
        metavar="N",
        help="windows that --engine ray works on at once (default: processors of the cluster)",
    )


def add_max_wait(parser: Parser) -> None:
    """Add `--max-wait`."""
    default = constants.QUOTA_PATIENCE_SECONDS
    parser.add_argument(
        "--max-wait",
        type=parse_duration,
        default=default,
        metavar="DURATION",
        help="maximum wait for the quota or another job, after which the command stops with exit "
        f"code 75; {DURATION_FORMS} (default: {default / HOUR_S:g}h)",
    )


def add_metrics_file(parser: Parser) -> None:
    """Add `--metrics-file`."""
    parser.add_argument(
        "--metrics-file",
        metavar="PATH",
        help="file for Prometheus' textfile collector, written when the command ends, also if it "
        "fails",
    )


def add_progress(parser: Parser) -> None:
    """Add `--progress`."""
    parser.add_argument(
        "--progress",
        choices=("auto", "log", "off"),
        default="auto",
        help="log: one line per window; off: warnings only; auto: on a terminal a live line per "
        "table, otherwise log (default: auto)",
    )


def add_json(parser: Parser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
