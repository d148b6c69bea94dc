"""The README is correct: its examples run, and its tables list what the code has."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mixpanel_sandbox import Project, Sandbox, made_up_project
from mixpanel_source import cli, errors, mixpanel_source
from mixpanel_source.catalog.tables import DEFAULT_TABLES, TABLE_NAMES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def tables_below(heading: str) -> list[list[list[str]]]:
    """The tables below a heading: the cells of each row, without the header."""
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [
        [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]
        for table in tables
    ]


def first_cells(heading: str) -> list[str]:
    """The first cell of each row of all tables below a heading."""
    return [row[0] for table in tables_below(heading) for row in table]


def names_in(cells: list[str]) -> set[str]:
    """The texts in backquotes in table cells."""
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.fixture
def project() -> Project:
    """Three days of the generated shop, up to yesterday."""
    today = datetime.now(timezone.utc).date()
    return made_up_project(last_day=today - timedelta(days=1), days=3)


@pytest.mark.slow
def test_python_examples_run(sandbox: Sandbox) -> None:
    """Each Python example runs as written, on what `sync` has loaded."""
    assert cli.main(["sync", "--tables", "export"]) == cli.DONE
    assert sandbox.requests
    assert len(blocks("python")) >= 3
    for example in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", example],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_shell_examples_are_commands_that_exist() -> None:
    """The parser accepts each `mixpanel-source` line, and each `make` line names a target."""
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    seen = set()
    for line in "\n".join(blocks("sh")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert words[1] in targets
            seen.add("make")
        if words[:1] == ["mixpanel-source"]:
            cli.build_parser().parse_args(words[1:])
            seen.add(words[1])
    assert {"make", "init", "sync", "backfill"} <= seen


def test_commands_table_is_complete() -> None:
    """The commands of the README are the commands there are."""
    rows = tables_below("Commands")[0]
    told = {name.split()[1] for name in names_in([row[0] for row in rows])}
    assert told == set(commands())


def commands() -> dict[str, argparse.ArgumentParser]:
    """The commands there are."""
    (below,) = (a.choices for a in cli.build_parser()._actions if isinstance(a.choices, dict))
    return {str(name): parser for name, parser in below.items()}


def test_options_table_is_complete() -> None:
    """Each option of each command is in the README beside it, and no other."""
    told = {
        (command, option)
        for names, of, _ in tables_below("Commands")[1]
        for option in names_in([names])
        for command in (commands() if of == "all" else names_in([of]))
    }
    there = {
        (name, option)
        for name, parser in commands().items()
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--")
    }
    assert told == there


ERRORS = {name: getattr(errors, name) for name in errors.__all__}
ERRORS_IN_ORDER = (
    "ConfigError",
    "AuthError",
    "AccessError",
    "PlanError",
    "ReplyError",
    "RequestError",
    "RateLimitedError",
    "PausedError",
    "ServerError",
    "TruncatedError",
    "BusyError",
    "CancelledError",
    "MixpanelError",
)
GOES_ON = "continues by itself"


def test_exit_codes_are_listed() -> None:
    """The exit codes of the README are those that commands end with."""
    codes, causes = tables_below("When something goes wrong")
    ends = {cli.DONE, cli.FAILED, cli.WRONG_USAGE, cli.UNCHANGED, cli.LATER, cli.INTERRUPTED}
    assert {int(code) for code, _ in codes} == ends
    for error, code, _ in causes:
        kind = ERRORS[error.strip("`")]
        assert code in (GOES_ON, str(kind.exit_code)), error


def test_errors_are_listed() -> None:
    """Each class of error has a row; the root stands for those that have no class."""
    _, causes = tables_below("When something goes wrong")
    leaves = {name for name, kind in ERRORS.items() if not kind.__subclasses__()}
    assert [name for name, *_ in causes] == [f"`{name}`" for name in ERRORS_IN_ORDER]
    assert {*ERRORS_IN_ORDER} == leaves | {"RequestError", "MixpanelError"}


def test_tables_table_is_complete(sandbox: Sandbox) -> None:
    """The tables of the README are the resources of the source, with the same defaults."""
    source = mixpanel_source()
    listed = [name for name in names_in(first_cells("Tables")) if not name.startswith("_")]
    columns = {"event", "time", "event_date", "distinct_id", "insert_id", "event_key"}
    assert set(listed) - columns == set(source.resources) == set(TABLE_NAMES)
    assert set(source.selected_resources) == set(DEFAULT_TABLES)
    assert sandbox.requests == []


def test_named_files_exist() -> None:
    """Every file of the repository that the README names exists."""
    named = re.findall(r"`((?:tests|pipelines|benchmarks)/[\w/.]+)`", README)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
