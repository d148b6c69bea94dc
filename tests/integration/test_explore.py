"""The commands that look at what is loaded: `views`, `sql` and `open`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mixpanel_source import cli
from mixpanel_source.cli.commands.explore import mcp, notebook, sql
from mixpanel_source.destinations.duckdb import queries, query_process
from tests.support.lab import Lab

EVENTS = "SELECT event, count(*) AS number FROM export GROUP BY event ORDER BY event"


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run queries here: a process for each takes most of the time of a test."""
    monkeypatch.setattr(queries, "_run_process", query_process.run)


@pytest.fixture
def loaded() -> Path:
    """A table of events in `mixpanel.duckdb`."""
    file = Path("mixpanel.duckdb").resolve()
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "CREATE TABLE export AS SELECT if(i % 3 = 0, 'Sign up', 'Order') AS event "
            "FROM range(24) AS t(i)"
        )
    return file


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in this process; returns its exit code, output and errors."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(arguments)
        return (code, *capsys.readouterr())

    return run_command


def test_views_are_created_and_queried(lab: Lab, run: Any) -> None:
    """`views` lists what it created, and `sql` finds the views by their names."""
    lab.sync("export")
    code, out, err = run("views", "--funnel", "Sign up,Order", "--funnel-days", "1")
    assert (code, err) == (cli.DONE, "")
    assert out.split()[0] == "events_by_day"
    assert "funnel" in out.split()
    code, out, _ = run("sql", "SELECT event, users FROM funnel ORDER BY step")
    assert out == "event,users\nSign up,1\nOrder,1\n"
    code, out, _ = run("views", "--schema", "analysis", "--json")
    assert json.loads(out)["schema"] == "analysis"
    code, _, err = run("views", "--funnel", "Order")
    assert code == cli.WRONG_USAGE
    assert "two or more different events" in err


def test_without_data_nothing_is_created(run: Any) -> None:
    """Each command says how to load, and leaves no file behind."""
    for command in (["views"], ["sql", "SELECT 1"], ["open"]):
        code, _, err = run(*command)
        assert code == cli.WRONG_USAGE
        assert "sync" in err
    assert not Path("mixpanel.duckdb").exists()


@pytest.mark.usefixtures("loaded")
def test_formats(run: Any) -> None:
    """CSV is the default in a pipe, a table is aligned, and JSON has types."""
    assert run("sql", EVENTS) == (0, "event,number\nOrder,16\nSign up,8\n", "")
    _, out, _ = run("sql", EVENTS, "--format", "table")
    assert out.splitlines() == [
        "event    number",
        "-------  ------",
        "Order        16",
        "Sign up       8",
    ]
    code, out, err = run("sql", EVENTS, "--format", "json", "--limit", "1")
    assert code == cli.DONE
    assert "--limit 0" in err
    assert json.loads(out) == {
        "columns": ["event", "number"],
        "types": ["VARCHAR", "BIGINT"],
        "rows": [["Order", 16]],
        "truncated": True,
    }
    assert run("sql", EVENTS, "--limit", "-1")[0] == cli.WRONG_USAGE


@pytest.mark.usefixtures("loaded")
def test_statement_comes_from_standard_input(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As scripts pass it on."""
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT count(*) AS n FROM export;\n"))
    assert run("sql") == (0, "n\n24\n", "")


@pytest.mark.usefixtures("loaded")
def test_shell_continues_after_errors(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement may take several lines; one that fails does not end the shell."""
    lines = iter(["SELECT count(*)", "AS n FROM export;", "", "DROP TABLE export;", "exit"])

    def answer(prompt: str) -> str:
        assert prompt in (sql.PROMPT, sql.MORE)
        return next(lines)

    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign] # a terminal
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr("builtins.input", answer)
    code, out, err = run("sql")
    assert code == cli.DONE
    assert "n\n24\n" in out
    assert "Give one SELECT statement" in err


def test_missing_programs_are_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs them."""
    monkeypatch.setattr(notebook, "find_spec", lambda _: None)
    monkeypatch.setattr(sql, "find_spec", lambda _: None)
    monkeypatch.setattr(mcp, "find_spec", lambda _: None)
    code, _, err = run("open")
    assert (code, "pip install 'mixpanel-source[notebook]'" in err) == (cli.WRONG_USAGE, True)
    code, _, err = run("mcp")
    assert (code, "pip install 'mixpanel-source[mcp]'" in err) == (cli.WRONG_USAGE, True)
    code, _, err = run("sql", "--harlequin")
    assert (code, "pip install harlequin" in err) == (cli.WRONG_USAGE, True)


def test_programs_get_the_file(loaded: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook and Harlequin open the file that is loaded into, the latter for reading only."""
    started: list[tuple[list[str], dict[str, str]]] = []

    def start(command: list[str], env: dict[str, str] | None = None) -> int:
        started.append((command, env or {}))
        return cli.DONE

    monkeypatch.setattr(notebook, "run_in_foreground", start)
    monkeypatch.setattr(sql, "run_in_foreground", start)
    monkeypatch.setattr(sql, "find_spec", lambda _: True)
    assert run("open", "--port", "4321", "--headless")[0] == cli.DONE
    assert run("sql", "--harlequin")[0] == cli.DONE
    (opened, variables), (harlequin, _) = started
    assert opened[3:5] == ["run", str(Path(__file__).parents[2] / notebook.NOTEBOOK)]
    assert opened[5:] == ["--port", "4321", "--headless"]
    assert variables["MIXPANEL_DUCKDB"] == str(loaded)
    assert harlequin[-2:] == ["--read-only", str(loaded)]
