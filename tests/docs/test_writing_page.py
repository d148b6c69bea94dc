"""The examples of the pages on writing are commands that exist; those of single changes run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mixpanel_destination import cli
from mixpanel_destination.settings import SETTING_NAMES
from mixpanel_sandbox import OAUTH_TOKEN
from tests.support.projects import make_recent_project
from tests.support.writing import open_writing

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "writing.md").read_text()
PAGES = (PAGE, (ROOT / "docs" / "migrating.md").read_text(), (ROOT / "README.md").read_text())
FILES = {
    "lexicon.json": json.dumps(
        {"entries": [{"entityType": "event", "name": "Order", "schemaJson": {}}]}
    ),
    "products.csv": "id,name\n1,a\n",
    "ids.txt": "u1\nu2\n",
    "tag.json": '{"name": "release"}',
}
"""The files that the examples name."""


def test_commands_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each is accepted, and with the last confirmation carried out."""
    section = PAGE.partition("## Other writes")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line)[1:] for line in "".join(blocks).splitlines()]
    assert len(commands) == 10
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    project = make_recent_project(1)
    project.identity = "original"
    project.annotations.append({"id": 640999, "date": "2026-11-02", "description": "x"})
    project.annotation_tags.append({"id": 1, "name": "release"})
    project.lookup_tables.append({"id": "t", "name": "Product Catalogue"})
    project.pipelines.append({"name": "events-daily-bigquery-monoschema"})
    monkeypatch.setenv("DESTINATION__MIXPANEL__OAUTH_TOKEN", OAUTH_TOKEN)
    with open_writing(monkeypatch, tmp_path, project):
        for command in commands:
            destroys = command[1] in {"delete", "cancel"}
            assert cli.main([*command, "--yes-destroy" if destroys else "--yes"]) == 0, command


def test_commands_exist() -> None:
    """The parser accepts each command, and the pages name all of them."""
    seen = set()
    for line in re.findall(
        r"^(?:\w+ .*\| )?mixpanel-destination (.*)$", "\n".join(PAGES), re.MULTILINE
    ):
        words = shlex.split(line)
        cli.build_parser().parse_args(words)
        seen.add(words[0])
    (below,) = (a.choices for a in cli.build_parser()._actions if isinstance(a.choices, dict))
    assert seen == {*below}


def test_settings_are_listed() -> None:
    """The table of settings has each of them."""
    section = PAGE.partition("## Settings")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == {*SETTING_NAMES}
