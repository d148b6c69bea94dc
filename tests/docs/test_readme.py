"""The README says nothing that is not so: its examples run, its tables are the code's."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mixpanel_source import cli, mixpanel_source, settings
from mixpanel_source.config import SETTING_NAMES
from mixpanel_source.sandbox import SECRET, USERNAME, Sandbox, made_up_project

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def first_cells(heading: str) -> list[str]:
    """The first cell of each row of the first table below a heading."""
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    table = rows[1:] if rows else []
    return [row.split("|")[1].strip() for row in table]


def names_in(cells: list[str]) -> set[str]:
    """What stands in backquotes in table cells."""
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A small project, set up as the README says: in the environment."""
    today = datetime.now(timezone.utc).date()
    project = made_up_project(last_day=today - timedelta(days=1), days=3)
    with Sandbox(project, exports_per_second=None, exports_per_hour=None) as sandbox:
        values = {
            "USERNAME": USERNAME,
            "SECRET": SECRET,
            "PROJECT_ID": project.project_id,
            "BASE_URL": sandbox.url,
            "EXPORT_BASE_URL": sandbox.url,
            "ANCHOR_DATE": min(project.events),
            "REQUESTS_PER_SECOND": 1000,
        }
        for name, value in values.items():
            monkeypatch.setenv(f"SOURCES__MIXPANEL__{name}", str(value))
        yield sandbox


def test_python_examples_run(sandbox: Sandbox) -> None:
    """Each Python example runs as it stands, on what `sync` has loaded."""
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
    """Each `mixpanel-source` line is one that the parser takes, each `make` line a target."""
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
    assert {"make", "sync", "check", "backfill"} <= seen


def test_settings_table_is_complete() -> None:
    """The settings of the README are the settings there are."""
    assert names_in(first_cells("Settings")) == set(SETTING_NAMES)


def test_commands_table_is_complete() -> None:
    """The commands of the README are the commands there are."""
    told = {name.split()[1] for name in names_in(first_cells("Commands"))}
    usage = cli.build_parser().format_help()
    listed = set(re.findall(r"^    ([a-z]+)\s", usage, re.MULTILINE))
    assert told == listed


def test_tables_table_is_complete(sandbox: Sandbox) -> None:
    """The tables of the README are the resources of the source, and its defaults are theirs."""
    source = mixpanel_source()
    told = [name for name in names_in(first_cells("Tables")) if not name.startswith("_")]
    columns = {"event", "time", "event_date", "distinct_id", "insert_id", "event_key"}
    assert set(told) - columns == set(source.resources) == set(settings.TABLES)
    assert set(source.selected_resources) == set(settings.DEFAULT_TABLES)
    assert sandbox.requests == []


def test_config_file_names_every_setting_that_is_no_secret() -> None:
    """`.dlt/config.toml` has a line for each setting, and no other."""
    text = (ROOT / ".dlt/config.toml").read_text().rpartition("[sources.mixpanel]\n")[2]
    told = set(re.findall(r"^# ([a-z_]+) = ", text, re.MULTILINE))
    assert told == set(SETTING_NAMES) - {"username", "secret", "project_id", "range"}


def test_secrets_example_names_the_secrets() -> None:
    """`.dlt/secrets.toml.example` has the three settings that have no default."""
    text = (ROOT / ".dlt/secrets.toml.example").read_text()
    assert re.findall(r"^([a-z_]+) = ", text, re.MULTILINE) == ["username", "secret", "project_id"]


def test_named_files_exist() -> None:
    """Every file of the repository that the README names is there."""
    named = re.findall(r"`((?:tests|pipelines|benchmarks)/[\w/.]+)`", README)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
