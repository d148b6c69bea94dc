"""Mistakes of a user: each ends with exit code 2 before anything is sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mixpanel_destination import cli
from tests.support.settings import set_environment
from tests.support.writing import PREFIX, Writing, make_event

SOURCE = "SOURCES__MIXPANEL__"


def set_up(monkeypatch: pytest.MonkeyPatch, mistake: str) -> None:
    """Make a mistake in the settings."""
    if mistake.startswith("without "):
        monkeypatch.delenv(PREFIX + mistake.split()[1].upper())
        return
    if mistake == "source credentials only":
        account = {name: os.environ[PREFIX + name.upper()] for name in ("username", "secret")}
        for name in account:
            monkeypatch.delenv(PREFIX + name.upper())
        set_environment(monkeypatch, account, prefix=SOURCE)
        return
    name, value = {
        "unknown user": ("username", "nobody.a1b2c3.mp-service-account"),
        "wrong secret": ("secret", "wrong"),
        "foreign project": ("project_id", "7654321"),
        "wrong region": ("region", "eu"),
        "no region": ("region", "mars"),
        "misspelt setting": ("projekt_id", "1"),
        "malformed address": ("ingestion_base_url", "localhost:1"),
    }[mistake]
    monkeypatch.setenv(PREFIX + name.upper(), value)


@pytest.mark.parametrize(
    "mistake",
    [
        "without username",
        "without secret",
        "without project_id",
        "source credentials only",
        "unknown user",
        "wrong secret",
        "foreign project",
        "wrong region",
        "no region",
        "misspelt setting",
        "malformed address",
    ],
)
def test_settings(
    writing: Writing,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mistake: str,
) -> None:
    """Whatever is wrong with the settings, nothing is sent and no secret is shown."""
    secrets = (writing.sandbox.secret, writing.project.token)
    set_up(monkeypatch, mistake)
    given = 7_654_321 if mistake == "foreign project" else 1_234_567
    source = writing.file([make_event(1)])
    code = cli.main(
        ["import", "events", "--from", str(source), f"--project-id={given}", "--yes", "--debug"]
    )
    shown = "".join(capsys.readouterr())
    assert (code, writing.posts) == (2, [])
    assert not any(secret in shown for secret in secrets)


@pytest.mark.parametrize(
    "arguments",
    [
        ["events", "--project-id=7654321", "--yes"],
        ["events", "--project-id=1234567"],
        ["events", "--project-id=1234567", "--yes", "--operation", "union"],
        ["groups", "--project-id=1234567", "--yes"],
        ["events", "--project-id=1234567", "--yes", "--from", "missing.jsonl"],
    ],
    ids=["other project", "no terminal", "operation of events", "no group key", "no file"],
)
def test_arguments(writing: Writing, arguments: list[str]) -> None:
    """A wrong or missing argument is refused."""
    source = writing.file([make_event(1)])
    assert writing.run("import", arguments[0], "--from", source, *arguments[1:]) == 2
    assert writing.posts == []


def test_project_that_is_read(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing to the project that is read needs an option."""
    monkeypatch.setenv(f"{SOURCE}PROJECT_ID", str(writing.project.project_id))
    assert writing.import_("events", [make_event(1)]) == 2
    assert writing.posts == []
    assert writing.import_("events", [make_event(1)], "--same-project") == 0


def test_foreign_token(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates with the token of another project would vanish: the token is checked before."""
    monkeypatch.setenv(f"{PREFIX}TOKEN", "0123456789abcdef0123456789abcdef")
    profiles = [{"$distinct_id": "u", "$set": {"n": 1}}]
    assert writing.import_("profiles", profiles) == 2
    assert "/engage" not in writing.posts
    monkeypatch.delenv(f"{PREFIX}TOKEN")
    assert writing.import_("profiles", profiles) == 2


def test_missing_option(tmp_path: Path) -> None:
    """The project must be named every time."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(["import", "events", "--from", str(tmp_path / "x.jsonl"), "--yes"])
