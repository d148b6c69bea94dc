"""The examples of the pages on completeness and ad-hoc requests run as written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixpanel_sandbox import Sandbox
from mixpanel_source import cli
from tests.integration.jobs import configured_sandbox, recent_project

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
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Nine days up to yesterday, synced, with the settings to read them in the environment."""
    with configured_sandbox(recent_project(9), monkeypatch) as running:
        monkeypatch.setenv("SOURCES__MIXPANEL__WINDOW_DAYS", "31")
        assert cli.main(["sync", "--tables", "export"]) == cli.DONE
        running.forget_requests()
        yield running


def test_scripts_run(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Each Python example runs on what a sync has loaded."""
    scripts = [script for page in PAGES for script in blocks(page, "python")]
    assert len(scripts) == 3
    for script in scripts:
        exec(compile(script, "example", "exec"), {})  # noqa: S102 - our own examples
    assert capsys.readouterr().out.splitlines()[-2:] == ["Order", "Sign up"]
    assert {record.status for record in sandbox.requests} == {200}


def test_commands_run(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The parser accepts each command; those without a date end with 0."""
    examples = [command for page in PAGES for command in commands(page)]
    assert len(examples) == 8
    for command in examples:
        cli.build_parser().parse_args(command)
        if "2026-" not in " ".join(command):
            assert cli.main(command) == cli.DONE
    assert "my_cohorts: 1 row" in capsys.readouterr().out
    assert {record.status for record in sandbox.requests} == {200}
