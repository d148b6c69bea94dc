"""The examples of the pages on completeness and ad-hoc requests run as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mixpanel_sandbox import Project, Sandbox
from mixpanel_source import cli
from tests.support.projects import make_recent_project

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / name).read_text() for name in ("completeness.md", "request.md")}


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a language on a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The arguments of each command on a page."""
    lines = "".join(blocks(page, "sh")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("mixpanel-source ")]


@pytest.fixture
def project() -> Project:
    """Nine days of events, up to yesterday."""
    return make_recent_project(9)


@pytest.fixture
def synced(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox after a sync of its events."""
    monkeypatch.setenv("SOURCES__MIXPANEL__WINDOW_DAYS", "31")
    assert cli.main(["sync", "--tables", "export"]) == cli.DONE
    sandbox.forget_requests()
    return sandbox


def test_scripts_run(synced: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Each Python example runs on what a sync has loaded."""
    scripts = [script for page in PAGES for script in blocks(page, "python")]
    assert len(scripts) == 3
    for script in scripts:
        exec(compile(script, "example", "exec"), {})  # noqa: S102 - our own examples
    assert capsys.readouterr().out.splitlines()[-2:] == ["Order", "Sign up"]
    assert {record.status for record in synced.requests} == {200}


def test_commands_run(synced: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The parser accepts each command; those without a date end with 0."""
    examples = [command for page in PAGES for command in commands(page)]
    assert len(examples) == 8
    for command in examples:
        cli.build_parser().parse_args(command)
        if "2026-" not in " ".join(command):
            assert cli.main(command) == cli.DONE
    assert "my_cohorts: 1 row" in capsys.readouterr().out
    assert {record.status for record in synced.requests} == {200}
