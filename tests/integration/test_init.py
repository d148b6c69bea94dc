"""First contact: what is typed is checked, stored privately, and each mistake says what to do."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mixpanel_sandbox import SECRET, USERNAME, Fault, Project, Sandbox
from mixpanel_source import cli, constants
from mixpanel_source.cli.commands import init
from mixpanel_source.commands import secrets_file, setup
from mixpanel_source.commands.secrets_file import write_settings
from mixpanel_source.config.providers import load_config
from mixpanel_source.constants import Hosts
from mixpanel_source.errors import ConfigError
from tests.support.clock import Clock
from tests.support.projects import make_recent_project
from tests.support.settings import UNLIMITED

FILE = Path(".dlt/secrets.toml")
OPTIONS = ("--username", USERNAME, "--project-id", "1234567", "--secret-stdin")


@pytest.fixture
def regions(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Sandbox]]:
    """Three regions, of which `eu` has the project. No waits between requests."""
    # the package's own defaults pace requests, which is tested elsewhere
    for name, value in (("REQUESTS_PER_SECOND", "1000"), ("RETRY_BASE_SECONDS", "0.01")):
        monkeypatch.setenv(f"SOURCES__MIXPANEL__{name}", value)
    with ExitStack() as stack:
        boxes = {}
        for number, name in enumerate(("us", "eu", "in")):
            project = make_recent_project(3) if name == "eu" else Project(project_id=90 + number)
            box = stack.enter_context(Sandbox(project, **UNLIMITED))
            boxes[name] = box
            monkeypatch.setitem(constants.REGIONS, name, Hosts(box.url, box.url, box.url))
        yield boxes


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `init` in this process; returns its exit code, output and errors."""

    def run_command(*options: str, typed: str = f"{SECRET}\n") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        capsys.readouterr()
        code = cli.main(["init", *(options or OPTIONS)])
        out, err = capsys.readouterr()
        assert SECRET not in out + err
        return code, out, err

    return run_command


@pytest.mark.usefixtures("regions")
def test_settings_are_found_stored_and_checked(run: Any) -> None:
    """The region is found, the file is private, and the sync that is suggested works."""
    code, out, err = run()
    assert (code, err) == (cli.DONE, "")
    assert out.splitlines()[:2] == [
        "found project 1234567 in region eu",
        "stored in .dlt/secrets.toml",
    ]
    assert "engage: will load" in out
    assert "requests, at 60 an hour" in out
    assert out.splitlines()[-1] == "to start it: mixpanel-source sync"
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600
    config = load_config({})
    assert (config.region, config.project_id, config.secret) == ("eu", 1234567, SECRET)


@pytest.mark.slow
@pytest.mark.usefixtures("regions")
def test_first_sync_starts_if_wanted(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--sync`, after the checks."""
    monkeypatch.setenv("SOURCES__MIXPANEL__WINDOW_DAYS", "366")
    code, out, _ = run(*OPTIONS, "--sync")
    assert code == cli.DONE
    assert "export: 9 rows" in out


def test_mistakes_say_what_to_do(regions: dict[str, Sandbox], run: Any) -> None:
    """Nothing is stored unless the project was found."""
    account = ("--username", USERNAME, "--secret-stdin")
    for options, typed, expected in (
        (OPTIONS, "wrong\n", "does not know a service account with this username and secret"),
        (
            ("--username", "nobody.mp-service-account", *OPTIONS[2:]),
            f"{SECRET}\n",
            "Check both, and that the account has not expired",
        ),
        (
            ("--username", "me@example.com", *OPTIONS[2:]),
            f"{SECRET}\n",
            "username is an e-mail address. Give the username of a service account",
        ),
        ((*OPTIONS, "--region", "us"), f"{SECRET}\n", "but in region eu: set region to eu"),
        (
            (*account, "--project-id", "7654321"),
            f"{SECRET}\n",
            "not a member of project_id 7654321. Its projects are 1234567, 90, 92",
        ),
        ((*account, "--project-id", "Shop"), f"{SECRET}\n", "project_id is 'Shop'; it must be"),
        (OPTIONS, "\n", "secret is empty"),
        (account, f"{SECRET}\n", "Give --project-id"),
        (("--project-id", "1"), "", "Give --username"),
    ):
        code, _, err = run(*options, typed=typed)
        assert code == cli.WRONG_USAGE, expected
        assert expected in err
        assert len(err.splitlines()) == 1
    assert not FILE.exists()
    assert all(record.path == "/api/app/me" for box in regions.values() for record in box.requests)


def test_free_plan_is_explained(regions: dict[str, Sandbox], run: Any) -> None:
    """Profiles need a paid plan; the command without them is suggested."""
    regions["eu"].project.plan = "free"
    code, out, _ = run(*OPTIONS, "--dataset", "shop")
    assert code == cli.DONE
    assert "does not include this API" in out
    command = "mixpanel-source sync --tables export --dataset shop"
    assert out.splitlines()[-1] == f"to start it: {command}"


def test_no_network(regions: dict[str, Sandbox], run: Any) -> None:
    """Without any connection the network is named, not the account."""
    for box in regions.values():
        box.inject(Fault("closed", times=0))
    code, _, err = run()
    assert code == cli.FAILED
    assert "Check the network" in err
    assert not FILE.exists()


@pytest.mark.usefixtures("regions")
def test_one_region_without_answer(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that the others refuse may be in the region that did not answer."""
    monkeypatch.setitem(constants.REGIONS, "in", Hosts(*["http://127.0.0.1:9"] * 3))
    code, _, err = run(typed="wrong\n")
    assert code == cli.WRONG_USAGE
    assert "in us, eu." in err
    assert "Region in could not be asked" in err


def test_account_that_cannot_be_read(regions: dict[str, Sandbox], run: Any) -> None:
    """Some proxies refuse the list of projects; then a request for events finds the region."""
    for box in regions.values():
        box.inject(Fault("403", table="projects", times=0))
    code, out, _ = run()
    assert code == cli.DONE
    assert "in region eu" in out


@pytest.mark.usefixtures("regions")
def test_files_that_cannot_be_used(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are named before anything is typed or requested."""
    FILE.mkdir(parents=True)
    assert "secrets.toml is a directory; it must be a file" in run()[2]
    FILE.rmdir()
    FILE.write_text("[sources.mixpanel]\nusername = me\n")
    assert "line 2: username must be in quotes" in run()[2]
    FILE.write_text('sources = "text"\n')
    assert "sources must be a section" in run()[2]
    FILE.unlink()
    FILE.parent.rmdir()
    FILE.parent.write_text("a file\n")
    assert "must be a directory" in run()[2]
    FILE.parent.unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    code, _, err = run()
    assert (code, "permission denied" in err) == (cli.WRONG_USAGE, True)


def test_disk_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure while writing leaves the old file."""
    FILE.parent.mkdir()
    FILE.write_text("a = 1\n")

    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(secrets_file, "replace_durably", refuse)
    with pytest.raises(ConfigError, match=r"cannot be written: Read-only file system\. Give"):
        write_settings(FILE, {"secret": "x"})
    assert FILE.read_text() == "a = 1\n"


@pytest.mark.usefixtures("regions")
def test_content_stays(run: Any) -> None:
    """Other settings and comments are kept, and another account is replaced only if wanted."""
    FILE.parent.mkdir()
    before = (
        "# ours\n[destination.postgres]\ncredentials = 'postgresql://x'  # the warehouse\n\n"
        "[sources.mixpanel]\nlookback_days = 3\nusername = 'old'\n"
    )
    FILE.write_text(before)
    code, _, err = run()
    assert (code, "has another username" in err) == (cli.WRONG_USAGE, True)
    assert FILE.read_text() == before
    assert run(*OPTIONS, "--replace")[0] == cli.DONE
    text = FILE.read_text()
    assert "credentials = 'postgresql://x'  # the warehouse" in text
    assert text.startswith("# ours\n")
    assert load_config({}).lookback_days == 3
    assert load_config({}).username == USERNAME
    assert run()[0] == cli.DONE


def test_link_is_followed() -> None:
    """A file that is kept elsewhere stays a link."""
    FILE.parent.mkdir()
    Path("elsewhere.toml").write_text("")
    FILE.symlink_to("../elsewhere.toml")
    write_settings(FILE, {"project_id": 1})
    assert FILE.is_symlink()
    assert "project_id = 1" in Path("elsewhere.toml").read_text()


@pytest.mark.usefixtures("regions")
def test_person_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal, with another try for what cannot be right; the secret is not shown."""
    answers = iter([USERNAME, "Shop", " 1234567 ", "n"])
    prompts: list[str] = []
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign] # a terminal
    monkeypatch.setattr("sys.stdin", terminal)

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return next(answers)

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr(init, "getpass", lambda _: SECRET)
    assert cli.main(["init"]) == cli.DONE
    out, err = capsys.readouterr()
    assert "Organization settings > Service accounts" in out
    assert "project_id is 'Shop'" in err
    assert prompts[-1].startswith("Start it now?")
    assert FILE.exists()


@pytest.mark.usefixtures("regions")
def test_environment_takes_precedence(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And this is reported, since it would be a riddle later."""
    monkeypatch.setenv("SOURCES__MIXPANEL__USERNAME", USERNAME)
    assert "SOURCES__MIXPANEL__USERNAME in the environment takes precedence" in run()[2]


class Keyring(ModuleType):
    """A keyring in memory."""

    def __init__(self) -> None:
        """Begin with no secrets."""
        super().__init__("keyring")
        self.__spec__ = setup.__spec__  # any will do
        self.secrets: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        """The secret that is stored."""
        return self.secrets.get((service, username))

    def set_password(self, service: str, username: str, secret: str) -> None:
        """Store it."""
        self.secrets[service, username] = secret


@pytest.mark.usefixtures("regions")
def test_secret_in_the_keyring(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file then holds everything but the secret, and every command finds it."""
    errors = ModuleType("keyring.errors")
    errors.KeyringError = OSError  # type: ignore[attr-defined] # any will do
    monkeypatch.setitem(sys.modules, "keyring", Keyring())
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    code, out, _ = run(*OPTIONS, "--keyring")
    assert code == cli.DONE
    assert "stored in .dlt/secrets.toml and the keyring" in out
    assert "secret" not in FILE.read_text()
    assert load_config({}).secret == SECRET


def test_keyring_that_is_missing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra."""
    monkeypatch.setattr(secrets_file, "find_spec", lambda _: None)
    assert "pip install 'mixpanel-source[keyring]'" in run(*OPTIONS, "--keyring")[2]


def test_search_keeps_the_pace(
    regions: dict[str, Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request for each region, a second apart."""
    monkeypatch.delenv("SOURCES__MIXPANEL__REQUESTS_PER_SECOND")
    clock = Clock()
    config = setup.find_project(clock=clock, username=USERNAME, secret=SECRET, project_id=1234567)
    assert config.base_url == regions["eu"].url
    assert [len(box.requests) for box in regions.values()] == [1, 1, 0]
    assert sum(clock.sleeps) == pytest.approx(1, abs=0.1)
