"""No secret is written anywhere, and no property value where it is not data.

Jobs run as processes of their own, with every logger at DEBUG, through failures of every kind; then
every file they left and every line they said is searched.
"""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from mixpanel_sandbox import Fault, Project, Sandbox
from mixpanel_source import cli
from tests.support.settings import UNLIMITED, as_environment, settings_for

USERNAME = "reporter.1a2b3c.mp-service-account"
SECRET = "kept-from-everyone"
WRONG_SECRET = "mistaken-for-it"
PASSWORD = "of-the-warehouse"
VALUE = "privately-so"
"""A piece of every value of every property, of events and profiles."""
DATA = {".parquet", ".duckdb", ".wal", ".jsonl", ".part"}
"""Endings of files that hold rows, as they should."""

LOUD = """
import logging, sys
logging.basicConfig(stream=sys.stderr, level=logging.DEBUG)
for name in ("", "urllib3", "requests", "mixpanel_source", "dlt"):
    logging.getLogger(name).setLevel(logging.DEBUG)
from mixpanel_source import cli
sys.exit(cli.main(sys.argv[1:]))
"""


@dataclass
class Desk:
    """A directory that all processes work in, and what they said."""

    directory: Path
    sandbox: Sandbox
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str, **environment: str) -> int:
        """Run a command as loud as can be and give its exit code."""
        done = subprocess.run(
            [sys.executable, "-c", LOUD, *arguments, "--debug"],
            env={
                **os.environ,
                "RUNTIME__LOG_LEVEL": "DEBUG",
                **as_environment({**settings_for(self.sandbox), "retries": 1}),
                **environment,
            },
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        self.said.append(f"{done.stdout}\n{done.stderr}")
        return done.returncode

    def find(self, word: str, *, in_data: bool) -> list[str]:
        """The files, and the processes by number, that hold a word."""
        found = [str(number) for number, text in enumerate(self.said) if word in text]
        for path in self.directory.rglob("*"):
            is_read = path.is_file() and (in_data or path.suffix not in DATA)
            if is_read and word.encode() in path.read_bytes():
                found.append(str(path))
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Three days of events and some profiles, every value of which can be told."""
    project = Project()
    midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(30):
        moment = midnight - timedelta(days=1 + number % 3) + timedelta(seconds=number)
        properties = {
            "distinct_id": f"{VALUE}-{number}",
            "plan": f"it's {VALUE}",
            "list": [VALUE, number],
        }
        project.add_event("Order", {"time": int(moment.timestamp()), **properties})
        project.add_profile(f"{VALUE}-{number}", {"$email": f"{VALUE}@example.com"})
    with Sandbox(project, username=USERNAME, secret=SECRET, **UNLIMITED) as sandbox:
        yield Desk(tmp_path, sandbox)


def assert_nothing_told(desk: Desk) -> None:
    """No secret is anywhere, and no value where it is not data."""
    for secret in (SECRET, WRONG_SECRET):
        pair = base64.b64encode(f"{USERNAME}:{secret}".encode()).decode()
        for form in (secret, pair, pair[8:-8], base64.b64encode(secret.encode()).decode()):
            assert desk.find(form, in_data=True) == [], form
    assert desk.find(VALUE, in_data=False) == []
    assert not [record for record in desk.sandbox.requests if VALUE in str(record.params)]


def assert_spool_is_private(desk: Desk) -> Path:
    """Nobody else may look into the spool."""
    (spool,) = desk.directory.glob("dlt-data/mixpanel_source/*/spool")
    for directory in (spool, spool.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    return spool


def test_nothing_is_told_when_all_is_well(desk: Desk) -> None:
    """A check, a sync and a backfill keep the secret, and values are in the tables alone."""
    newest = max(desk.sandbox.project.events)
    assert desk.run("check") == cli.DONE
    assert desk.run("sync") == cli.DONE
    assert desk.run("backfill", "--range", f"{newest},{newest}") == cli.DONE
    assert_nothing_told(desk)
    assert list(assert_spool_is_private(desk).iterdir()) == []
    # or the search would find nothing anyway
    assert desk.find(VALUE, in_data=True)
    assert all("DEBUG:urllib3" in text for text in desk.said)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("job", ["sync", "backfill"])
def test_nothing_is_told_when_mixpanel_fails(desk: Desk, job: str) -> None:
    """Refusals, failures and replies that break off are told without what was in them."""
    days = sorted(desk.sandbox.project.events)
    arguments = [job, *(["--range", f"{days[0]},{days[-1]}"] if job == "backfill" else [])]
    assert desk.run(*arguments, SOURCES__MIXPANEL__SECRET=WRONG_SECRET) != cli.DONE
    for kind in ("500", "half_line", "open_gzip", "error_fragment", "terminated_early"):
        # each is tried twice
        desk.sandbox.inject(Fault(kind, day=days[1], times=2))
        assert desk.run(*arguments) == cli.FAILED, kind
    assert_nothing_told(desk)
    assert_spool_is_private(desk)
    assert desk.run(*arguments) == cli.DONE
    assert list(assert_spool_is_private(desk).iterdir()) == []


def test_nothing_is_told_when_the_destination_is_away(desk: Desk) -> None:
    """A database that cannot be reached is named without its password."""
    url = f"postgresql://loader:{PASSWORD}@127.0.0.1:1/warehouse"
    code = desk.run("sync", "--destination", "postgres", DESTINATION__POSTGRES__CREDENTIALS=url)
    assert code == cli.FAILED
    assert "127.0.0.1" in desk.said[-1]
    assert_nothing_told(desk)
    assert desk.find(PASSWORD, in_data=True) == []


def test_value_that_the_destination_refuses_is_not_told(desk: Desk) -> None:
    """A column that somebody gave another type is told of without the value that did not fit.

    The words of the database, which hold the value, are with the data in dlt's own directory, and
    dlt logs them when it is told to; only what is said unasked is looked at here.
    """
    assert desk.run("sync", "--tables", "export") == cli.DONE
    with duckdb.connect(str(desk.directory / "mixpanel.duckdb")) as connection:
        connection.execute("UPDATE export SET plan = '1'")
        connection.execute("ALTER TABLE export ALTER plan TYPE integer")
    assert desk.run("sync", "--tables", "export", RUNTIME__LOG_LEVEL="CRITICAL") == cli.FAILED
    assert VALUE not in desk.said[-1]
    error = desk.said[-1].splitlines()[-1]
    assert error.startswith("error: dlt could not load the data: ")
    assert "export" in error
    assert "Traceback" not in error
