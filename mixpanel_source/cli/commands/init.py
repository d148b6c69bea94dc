"""`mixpanel-source init`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from ...catalog.tables import DEFAULT_TABLES
from ...constants import DATASET_NAME, PIPELINE_NAME, REGIONS
from ...errors import ConfigError, MixpanelError
from ..exit_codes import DONE, FAILED
from ..options import add_target
from ..output import complain
from ..parser import Commands, add_command
from ..startup import fast_imports
from .check import print_results
from .plan import print_plan

if TYPE_CHECKING:
    from ...config.model import Config
    from ...config.settings import Settings

FIND = "auto"
PREFIX = "SOURCES__MIXPANEL__"
INTRODUCTION = """\
This stores the settings that read your project in {path}.
You need a service account: in Mixpanel, Organization settings > Service accounts. Add it to the
project there, too. Its secret is shown only when it is created."""
LABELS = {
    "username": "Username of the service account: ",
    "secret": "Secret (not shown while you type): ",
    "project_id": "Project id (Project settings > Overview): ",
}


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = (
        "Set up: asks for the account and the project, finds the region, stores and checks the "
        "settings, and offers the first sync."
    )
    parser = add_command(commands, "init", run, summary=summary)
    parser.add_argument("--username", metavar="NAME", help="username of the service account")
    parser.add_argument("--project-id", metavar="NUMBER", help="number of the project")
    parser.add_argument(
        "--region",
        choices=(FIND, *REGIONS),
        default=FIND,
        help=f"data residency of the project; {FIND}: search (default: {FIND})",
    )
    parser.add_argument(
        "--secret-stdin", action="store_true", help="read the secret from standard input"
    )
    parser.add_argument(
        "--keyring",
        action="store_true",
        help="store the secret in the keyring of the system instead of the file",
    )
    parser.add_argument(
        "--replace", action="store_true", help="replace settings that are stored, without asking"
    )
    parser.add_argument(
        "--sync", action="store_true", help="start the first sync at the end, without asking"
    )
    add_target(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ...commands.secrets_file import check_keyring, check_writable, secrets_path
        from ...commands.setup import find_project

    path = secrets_path()
    check_writable(path)
    if options.keyring:
        check_keyring()
    if _is_interactive(options):
        print(INTRODUCTION.format(path=_shown(path)))
    values = _read_values(options)
    if options.region != FIND:
        values["region"] = options.region
    config = find_project(**values)
    print(f"found project {config.project_id} in region {config.region}")
    _store(config, path, options)
    return _check_and_sync(options)


def _read_values(options: argparse.Namespace) -> Settings:
    """The account and the project, from options or from a person."""
    given = os.environ.get(f"{PREFIX}SECRET")
    username = _read("username", options.username, options)
    return {
        "username": username,
        "secret": _read("secret", sys.stdin.readline() if options.secret_stdin else given, options),
        "project_id": _read("project_id", options.project_id, options),
    }


def _read(name: str, given: str | None, options: argparse.Namespace) -> str:
    """The value of a setting; a person may correct it."""
    from ...config.model import SETTINGS

    (declared,) = (setting for setting in SETTINGS if setting.name == name)
    while True:
        value = given if given is not None else _ask(name, options)
        try:
            declared.parser(name, value.strip())
        except ConfigError as error:
            if given is not None:
                raise
            complain(str(error))
        else:
            if value.strip():
                return value.strip()
            if given is not None:
                raise ConfigError(f"{name} is empty. Give a value.")


def _ask(name: str, options: argparse.Namespace) -> str:
    if not _is_interactive(options):
        option = "--secret-stdin" if name == "secret" else f"--{name.replace('_', '-')}"
        raise ConfigError(
            f"{name} is missing, and standard input is no terminal to ask on. Give {option}."
        )
    try:
        return getpass(LABELS[name]) if name == "secret" else input(LABELS[name])
    except EOFError:
        raise ConfigError(f"{name} is missing. Run the command again.") from None


def _is_interactive(options: argparse.Namespace) -> bool:
    return sys.stdin.isatty() and not options.secret_stdin


def _confirm(question: str, options: argparse.Namespace) -> bool:
    if not _is_interactive(options):
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _store(config: Config, path: Path, options: argparse.Namespace) -> None:
    from ...commands.secrets_file import store_secret, stored_settings, write_settings

    values = {
        "username": config.username,
        "secret": None if options.keyring else config.secret,
        "project_id": config.project_id,
        "region": config.region,
    }
    stored = stored_settings(path)
    others = [name for name in values if name in stored and stored[name] != values[name]]
    question = f"{_shown(path)} has another {', '.join(others)}. Replace?"
    if others and not options.replace and not _confirm(question, options):
        raise ConfigError(
            f"{_shown(path)} has another {', '.join(others)}, which stays. To replace it, add "
            "--replace."
        )
    if options.keyring:
        store_secret(config.username, config.secret)
    write_settings(path, values)
    print(f"stored in {_shown(path)}" + (" and the keyring" if options.keyring else ""))
    for name in values:
        if f"{PREFIX}{name.upper()}" in os.environ:
            complain(f"{PREFIX}{name.upper()} in the environment takes precedence over the file.")


def _check_and_sync(options: argparse.Namespace) -> int:
    from ...commands.check import check
    from ...commands.plan import plan

    results = check(DEFAULT_TABLES)
    print_results(results)
    tables = [table for table, error in results.items() if error is None]
    if not tables:
        return FAILED
    command = shlex.join(["mixpanel-source", *_sync_arguments(tables, options)])
    try:
        estimate = plan(
            tables,
            destination=options.destination,
            dataset=options.dataset,
            name=options.pipeline,
        )
    except MixpanelError as error:
        # the settings are stored and work; the destination is another matter
        complain(f"error: {error}")
        return error.exit_code
    print("the first sync:")
    print_plan(estimate)
    if not options.sync and not _confirm("Start it now? It can be stopped at any time.", options):
        print(f"to start it: {command}")
        return DONE
    return _sync(_sync_arguments(tables, options))


def _sync_arguments(tables: Sequence[str], options: argparse.Namespace) -> list[str]:
    """The first sync as arguments, without those that have their defaults."""
    chosen = {
        "--tables": (",".join(tables), ",".join(DEFAULT_TABLES)),
        "--destination": (options.destination, "duckdb"),
        "--dataset": (options.dataset, DATASET_NAME),
        "--pipeline": (options.pipeline, PIPELINE_NAME),
    }
    given = [
        word
        for option, (value, default) in chosen.items()
        if value != default
        for word in (option, value)
    ]
    return ["sync", *given]


def _sync(arguments: Sequence[str]) -> int:
    from ..app import build_parser

    parsed = build_parser().parse_args(arguments)
    code: int = parsed.run(parsed)
    return code


def _shown(path: Path) -> str:
    """A path as it is easiest to read."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
