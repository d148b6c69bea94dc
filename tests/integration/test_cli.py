"""The command line: what it does, how it ends, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mixpanel_sandbox import SECRET, Fault, Project, Sandbox
from mixpanel_source import cli
from mixpanel_source.catalog.tables import TABLE_NAMES
from mixpanel_source.paths import data_directory
from tests.support.clock import wait_until
from tests.support.projects import make_recent_project
from tests.support.settings import set_environment

DATABASE = Path("mixpanel.duckdb")
PROGRAM = [sys.executable, "-m", "mixpanel_source.cli"]


@pytest.fixture
def project() -> Project:
    """Three days of events, up to yesterday."""
    return make_recent_project(3)


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in this process."""

    def run_command(*arguments: str) -> Done:
        capsys.readouterr()
        try:
            code = cli.main(arguments)
        except SystemExit as end:  # argparse leaves this way
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return run_command


def query(statement: str) -> list[tuple[Any, ...]]:
    """What the file that commands load to by default answers."""
    with duckdb.connect(str(DATABASE), read_only=True) as connection:
        rows: list[tuple[Any, ...]] = connection.execute(statement).fetchall()
    return rows


def count(table: str) -> int:
    """Rows of a table."""
    rows: int = query(f"SELECT count(*) FROM mixpanel.{table}")[0][0]
    return rows


def loaded_tables() -> list[str]:
    """The tables of ours that are there."""
    if not DATABASE.exists():
        return []
    return [name for (name,) in query("SHOW TABLES") if not name.startswith("_dlt")]


def test_sync_loads_and_says_so(sandbox: Sandbox, run: Any) -> None:
    """`sync` loads events and profiles to `mixpanel.duckdb` and ends with 0, each time."""
    for _ in range(2):
        done = run("sync")
        assert done.code == cli.DONE
        assert "export: 9 rows\nengage: 5 rows\n" in done.out
        assert "mixpanel.duckdb" in done.out
        assert (count("export"), count("engage")) == (9, 5)
    assert {record.status for record in sandbox.requests} == {200}


def test_json_is_one_object(sandbox: Sandbox, run: Any) -> None:
    """With `--json` the result is one JSON object on stdout, failures included."""
    sandbox.inject(Fault("500", table="engage", times=6))
    done = run("sync", "--json", "--tables", "export,engage,cohorts", "--dataset", "other")
    result = json.loads(done.out)
    assert done.code == cli.FAILED
    assert result["rows"] == {"export": 9, "cohorts": 1}
    assert result["requests"] == len(sandbox.requests) == 10
    assert result["dataset"] == "other"
    assert list(result["failures"]) == ["engage"]
    assert_one_line(done.err, "engage page 0")


def test_backfill_loads_its_range(sandbox: Sandbox, project: Project, run: Any) -> None:
    """`backfill` loads the days of `--range` alone."""
    first = min(project.events)
    done = run("backfill", "--range", f"{first},{first}", "--json")
    assert done.code == cli.DONE
    assert json.loads(done.out)["rows"] == {"export": 3}
    assert len(sandbox.requests) == 1


def test_check_says_what_would_load(sandbox: Sandbox, run: Any) -> None:
    """`check` asks once for each table, and once for the project."""
    done = run("check", "--tables", "export,engage,cohorts")
    assert (done.code, done.err) == (cli.DONE, "")
    assert done.out.splitlines() == [
        "export: will load",
        "engage: will load",
        "cohorts: will load",
        "if the role of the account may not see sensitive data, properties classified as sensitive "
        "are missing without an error",
    ]
    assert len(sandbox.requests) == 4
    assert not DATABASE.exists()


@pytest.mark.usefixtures("sandbox")
def test_check_of_lists_says_nothing_of_properties(run: Any) -> None:
    """Lists hold no properties that could be missing."""
    assert run("check", "--tables", "cohorts,annotations").out.splitlines() == [
        "cohorts: will load",
        "annotations: will load",
    ]


def test_check_says_what_would_not(sandbox: Sandbox, project: Project, run: Any) -> None:
    """On the free plan `check` ends with 1, and says which tables would load all the same."""
    project.plan = "free"
    done = run("check", "--tables", "export,cohorts")
    assert done.code == cli.FAILED
    assert done.out.startswith("export: will load\ncohorts: ")
    assert "plan" in done.out
    assert len(sandbox.requests) == 3


def assert_one_line(text: str, *parts: str) -> None:
    """It is one line that says it is an error, with these parts, without a secret."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("error: ")
    assert [part for part in parts if part not in lines[0]] == []
    assert SECRET not in text


MISTAKES: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "wrong secret": ({"SECRET": "wrong"}, ["sync"], ["secret", "us, eu, in"]),
    "wrong username": ({"USERNAME": "who"}, ["sync"], ["username", "us, eu, in"]),
    "wrong project": ({"PROJECT_ID": "42"}, ["sync"], ["project_id (42)", "member"]),
    "wrong project, checked": ({"PROJECT_ID": "42"}, ["check"], ["project_id 42", "1234567"]),
    "unknown region": ({"REGION": "mars"}, ["sync"], ["region", "'mars'", "us, eu, in"]),
    "malformed anchor": (
        {"ANCHOR_DATE": "01/02/2026"},
        ["sync"],
        ["anchor_date", "01/02/2026", "YYYY-MM-DD"],
    ),
    "malformed range": (
        {},
        ["backfill", "--range", "2026-1-1,2026-01-31"],
        ["range", "2026-1-1", "YYYY-MM-DD"],
    ),
    "half a range": ({}, ["backfill", "--range", "2026-01-01"], ["range", "first,last"]),
    "reversed range": (
        {},
        ["backfill", "--range", "2026-01-31,2026-01-01"],
        ["range", "is reversed", "2026-01-01,2026-01-31"],
    ),
    "unknown table": ({}, ["sync", "--tables", "people"], ["people", "export, engage, cohorts"]),
    "no table": ({}, ["sync", "--tables", ","], ["tables", "export, engage, cohorts"]),
    "events like JSON": (
        {"EVENTS": "[App Install]"},
        ["sync"],
        ["events is '[App Install]'", "is not valid JSON"],
    ),
    "unknown destination": ({}, ["sync", "--destination", "oracle9"], ["oracle9", "duckdb"]),
    "destination without credentials": (
        {},
        ["sync", "--destination", "postgres"],
        ["postgres", "DESTINATION__POSTGRES__CREDENTIALS"],
    ),
    "missing secret": (
        {"SECRET": ""},
        ["sync"],
        ["secret is not set", "SOURCES__MIXPANEL__SECRET", ".dlt/secrets.toml"],
    ),
    "missing project": ({"PROJECT_ID": ""}, ["check"], ["project_id is not set"]),
    "malformed number": ({"LOOKBACK_DAYS": "five"}, ["sync"], ["lookback_days", "'five'"]),
    "unknown zone": ({"PROJECT_TIMEZONE": "Mars/X"}, ["sync"], ["project_timezone", "Mars/X"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_one_line(
    sandbox: Sandbox, run: Any, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    """A mistake ends with 2 and one line that names the setting and what is valid."""
    environment, arguments, parts = MISTAKES[mistake]
    for name, value in environment.items():
        monkeypatch.setenv(f"SOURCES__MIXPANEL__{name}", value)
    done = run(*arguments)
    assert done.code == cli.WRONG_USAGE
    assert_one_line(done.err, *parts)
    assert done.out == ""
    assert len(sandbox.requests) <= 1
    assert loaded_tables() == []


def test_free_plan_fails_cohorts_alone(sandbox: Sandbox, project: Project, run: Any) -> None:
    """On the free plan cohorts fail in one line that names the plan, and the events are there."""
    project.plan = "free"
    done = run("sync", "--tables", "export,cohorts")
    assert done.code == cli.FAILED
    assert_one_line(done.err, "cohorts", "402", "plan of project_id 1234567", "tables")
    assert count("export") == 9
    assert len(sandbox.requests) == 4


def test_spent_quota_is_for_later(sandbox: Sandbox, run: Any) -> None:
    """Refused for the quota for longer than `--max-wait`, it ends with 75; what came is loaded."""
    sandbox.inject(Fault("429", table="export", request=2, seconds=1800))
    done = run("sync", "--tables", "export", "--max-wait", "5")
    assert done.code == cli.LATER
    assert_one_line(done.err, "hourly quota", "run again")
    assert "0 an hour" not in done.err.replace("60 an hour", "")
    assert count("export") == 3
    # as if half an hour had passed: until then, no process sends anything
    for log in data_directory().glob("requests-*.json"):
        log.unlink()
    assert run("sync").code == cli.DONE
    assert count("export") == 9


def test_one_line_for_one_cause(
    sandbox: Sandbox, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What strikes two tables is said once, with what was asked of each."""
    monkeypatch.setenv("SOURCES__MIXPANEL__RETRIES", "0")
    sandbox.inject(Fault("500", table="export"), Fault("500", table="engage"))
    done = run("sync")
    assert done.code == cli.FAILED
    assert_one_line(done.err, "export ", ", engage page 0: status 500")


def test_debug_shows_where_an_error_comes_from(sandbox: Sandbox, run: Any) -> None:
    """With `--debug` the traceback stands above the line, of failures of a table too."""
    sandbox.inject(Fault("403", table="engage"))
    for options in (["sync", "--tables", "engage"], ["sync", "--tables", "people"]):
        done = run(*options, "--debug")
        assert done.err.count("Traceback (most recent call last)") >= 1
        assert done.err.splitlines()[-1].startswith("error: ")
        assert SECRET not in done.err


def test_unexpected_errors_keep_their_values(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an unexpected error one line names the type, never the text."""

    def fail(_tables: list[str]) -> None:
        raise KeyError("a value")

    monkeypatch.setattr("mixpanel_source.commands.check.check", fail)
    done = run("check")
    assert done.code == cli.FAILED
    assert_one_line(done.err, "unexpected KeyError", "report it", "--debug")
    told = run("check", "--debug").err
    assert re.search(r"in fail\n.*\nKeyError\n", told)
    assert "KeyError: " not in told + done.err


def test_plan_and_status_are_for_people(sandbox: Sandbox, run: Any) -> None:
    """Without a request: what a sync would do, then what it did, then that nothing is new."""
    done = run("plan")
    assert (done.code, done.err) == (cli.DONE, "")
    assert "export: 3 days, " in done.out
    assert "window_days = 1\n" in done.out
    assert re.search(r"requests: 3, with window_days = auto: \d to 3\n", done.out)
    assert "engage: requests: 1; further pages unmetered\n" in done.out
    assert "nothing is loaded yet" in run("status").out
    assert sandbox.requests == []
    summary = run("sync").out
    assert re.search(r"14 rows in [\d.]+ s.*; 4 requests", summary)
    assert "0 values repaired" in summary
    done = run("status")
    assert re.search(r"export: 9 rows, last read \d+ s ago, \d{4}-", done.out)
    assert "last run: sync of export, engage, done" in done.out
    assert "3 of these read again" in run("plan").out
    assert len(sandbox.requests) == 4


@pytest.mark.parametrize("command", ["plan", "status", "check"])
def test_answers_come_as_json(sandbox: Sandbox, run: Any, command: str) -> None:
    """With `--json` each answer is one object, and tells what the text tells."""
    run("sync", "--tables", "export")
    sandbox.inject(Fault("403", table="engage"))
    done = run(command, "--json")
    answer = json.loads(done.out)
    if command == "check":
        assert (done.code, answer["export"]) == (cli.FAILED, None)
        assert "a role in project_id" in answer["engage"]
    else:
        assert answer["project_id"] == 1234567
        assert answer["tables"]["export"]["rows" if command == "status" else "days_again"] in (9, 3)


def test_misspelt_words_get_a_hint(sandbox: Sandbox, run: Any) -> None:
    """The nearest command, option, choice or table is offered; what was begun is no option."""
    for words, meant in (
        (["snyc"], "sync"),
        (["sync", "--table", "export"], "--tables"),
        (["sync", "--progress", "of"], "off"),
        (["sync", "--tables", "exports"], "export"),
    ):
        done = run(*words)
        assert done.code == cli.WRONG_USAGE
        assert f"did you mean {meant}?" in done.err
    assert sandbox.requests == []


def test_unknown_command_shows_the_commands(run: Any) -> None:
    """Mistakes in the command itself end with 2 as well."""
    done = run("snyc")
    assert done.code == cli.WRONG_USAGE
    assert "Traceback" not in done.err
    assert re.search(r"sync.*backfill.*check.*sandbox.*demo", done.err)


def test_version_is_that_of_the_package(run: Any) -> None:
    """`--version` needs no command."""
    done = run("--version")
    assert (done.code, done.out) == (cli.DONE, f"mixpanel-source {version('mixpanel-source')}\n")


@pytest.mark.parametrize("text", ["soon", "6 hours", "-1"])
def test_malformed_durations_are_wrong_usage(run: Any, text: str) -> None:
    """The error quotes the duration and names the valid forms."""
    done = run("sync", "--max-wait", text)
    assert (done.code, done.out) == (cli.WRONG_USAGE, "")
    assert f"'{text}' is not a duration; give seconds (90 or 90s), minutes (30m)" in done.err


COMMANDS = [
    "",
    "init",
    "sync",
    "backfill",
    "catch-up",
    "archive",
    "check",
    "plan",
    "status",
    "reconcile",
    "forget",
    "request",
    "views",
    "sql",
    "open",
    "mcp",
    "sandbox",
    "demo",
    "completion",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_breaks_no_name(run: Any, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """At 80 columns help has the words it has on a line without end: none is broken in two."""
    pages = []
    for columns in (80, 10_000):
        monkeypatch.setenv("COLUMNS", str(columns))
        done = run(*filter(None, [command]), "--help")
        assert (done.code, done.err) == (cli.DONE, "")
        assert max(map(len, done.out.splitlines())) <= columns
        pages.append(done.out.split())
    assert pages[0] == pages[1]
    lists_tables = command in ("sync", "check", "plan")
    assert ({*TABLE_NAMES, "reports"} <= {*pages[0]}) is lists_tables


def test_every_command_is_known() -> None:
    """The list above is complete."""
    (commands,) = (a.choices for a in cli.build_parser()._actions if isinstance(a.choices, dict))
    assert [*commands] == COMMANDS[1:]


@pytest.mark.parametrize("mistake", ["--data=nowhere", "--fault=earthquake", "--fault=500:day=x"])
def test_sandbox_mistakes_are_told_in_one_line(run: Any, mistake: str) -> None:
    """What the sandbox cannot serve or break is said before it starts."""
    done = run("sandbox", "--port", "0", mistake)
    assert done.code == cli.WRONG_USAGE
    assert_one_line(done.err)


def test_demo_needs_nothing(run: Any) -> None:
    """`demo` fills `mixpanel.duckdb` without a setting and says what to do next."""
    done = run("demo")
    assert (done.code, done.err) == (cli.DONE, "")
    assert count("export") > 5000
    assert count("engage") > 200
    assert count("cohorts") == 4
    assert cli.DEMO_QUERY in done.out
    assert len(query(cli.DEMO_QUERY)) > 3


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which is ended in the end."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([*PROGRAM, *arguments], stdout=pipe, stderr=pipe, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_two_processes_do_not_mix(sandbox: Sandbox, run: Any) -> None:
    """While a process syncs, another waits, or ends with 75; after a kill a sync is complete."""
    sandbox.inject(Fault("slow", table="export", request=2, seconds=60))
    with started("sync", "--tables", "export"):
        wait_until(lambda: len(sandbox.requests) == 2)
        done = run("sync", "--max-wait", "0")
        assert done.code == cli.LATER
        assert_one_line(done.err, "pipeline mixpanel", "under way")
    assert run("sync").code == cli.DONE
    assert count("export") == 9


def test_sandbox_can_be_synced_from(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sandbox` prints the settings that make `sync` read from it, and ends when interrupted."""
    with started("sandbox", "--port", "0", "--fault", "500:request=3") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        while not line.startswith("export SOURCES__MIXPANEL__ANCHOR_DATE="):
            if setting := re.fullmatch(r"export (\w+)=(\S+)\n", line):
                monkeypatch.setenv(setting[1], setting[2])
            line = process.stdout.readline()
        yesterday = date.fromisoformat(line.strip()[-10:]) + timedelta(days=cli.DEMO_DAYS - 1)
        quick = {"requests_per_second": 3, "retry_base_seconds": 0.01}
        anchor = yesterday - timedelta(days=1)
        set_environment(monkeypatch, {**quick, "anchor_date": anchor})
        done = run("sync", "--json")
        assert (done.code, done.err) == (cli.DONE, "")
        assert json.loads(done.out)["rows"]["export"] > 300
        process.send_signal(2)
        assert process.wait(10) == cli.DONE


def test_module_runs_as_a_program() -> None:
    """Started as a program it has its own stderr: no log, no traceback, one line."""
    done = subprocess.run(
        [*PROGRAM, "sync"], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == cli.WRONG_USAGE
    assert_one_line(done.stderr, "username is not set")
    assert done.stdout == ""


@pytest.mark.slow
def test_database_is_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another directory `mixpanel.duckdb` is written there, not where the pipeline first ran."""
    for variable in ("DLT_LOCAL_DIR", "DLT_PROJECT_DIR"):
        monkeypatch.delenv(variable)
    for name in ("one", "two"):
        directory = tmp_path / name
        directory.mkdir()
        command = [sys.executable, "-m", "mixpanel_source.cli", "demo"]
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
        assert (directory / "mixpanel.duckdb").exists()
