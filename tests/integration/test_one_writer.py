"""One job at a time loads into a dataset of Postgres, wherever the jobs run."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dlt
import psycopg2
import pytest

from mixpanel_sandbox import Sandbox
from mixpanel_source.commands.forget import forget
from mixpanel_source.destinations.registry import destination_of
from mixpanel_source.errors import BusyError, MixpanelError
from mixpanel_source.progress import Progress
from tests.support.fidelity import assert_kept
from tests.support.lab import Lab, open_lab
from tests.support.postgres import execute
from tests.support.projects import make_project, make_recent_project
from tests.support.settings import UNLIMITED, as_environment, settings_for

PROGRAM = [sys.executable, "-m", "mixpanel_source.cli"]
# this connection inherits the name too, and the lock is lost only once the other one has ended
TERMINATE = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
    "WHERE application_name LIKE 'mixpanel-source%' AND pid <> pg_backend_pid()"
)


@pytest.fixture
def lab(postgres: str) -> Iterator[Lab]:
    """A week of a small project, to be loaded to Postgres."""
    with open_lab(make_project(), postgres_pipeline(postgres)) as opened:
        yield opened


def postgres_pipeline(url: str) -> dlt.Pipeline:
    """The pipeline of the commands."""
    return dlt.pipeline(
        "mixpanel", destination=dlt.destinations.postgres(url), dataset_name="mixpanel"
    )


@contextmanager
def started(
    sandbox: Sandbox, url: str, machine: str, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a command as on a machine of its own: with its own data directory."""
    environment = {
        **os.environ,
        **as_environment(settings_for(sandbox)),
        "DESTINATION__POSTGRES__CREDENTIALS": url,
        "DLT_DATA_DIR": str(Path(machine).absolute()),
    }
    command = [*PROGRAM, *arguments, "--destination", "postgres"]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


def test_jobs_on_two_machines_are_exact(postgres: str) -> None:
    """A sync and a backfill started at once load one after the other, each event once."""
    project = make_recent_project(8)
    days = sorted(project.events)
    backfill = ("backfill", "--range", f"{days[0]},{days[5]}")
    with (
        Sandbox(project, **UNLIMITED) as sandbox,
        started(sandbox, postgres, "a", "sync") as one,
        started(sandbox, postgres, "b", *backfill) as two,
    ):
        errors = [process.communicate()[1] for process in (one, two)]
    assert [one.returncode, two.returncode] == [0, 0]
    assert "Waiting for up to" in "".join(errors)
    pipeline = postgres_pipeline(postgres)
    pipeline.sync_destination()
    assert_kept(project, pipeline)


def test_second_job_is_refused(lab: Lab, postgres: str) -> None:
    """With `--max-wait 0` a second job ends with exit code 75, and says who is loading."""
    access = destination_of(lab.pipeline).acquire()
    with started(lab.sandbox, postgres, "b", "sync", "--max-wait", "0") as process:
        _, stderr = process.communicate()
    assert process.returncode == 75
    assert "Another job is loading into the dataset mixpanel: mixpanel-source, process" in stderr
    assert f"process {os.getpid()} on" in stderr
    assert lab.sandbox.requests == []
    access.release()
    assert lab.sync("engage").failures == {}


def test_second_job_waits(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A job waits for another, says so once, and loads when the other has ended."""
    access = destination_of(lab.pipeline).acquire()

    def sleep(seconds: float) -> None:
        lab.clock.now += seconds
        if lab.clock.sleeps == [2.0, 2.0]:
            access.release()
        lab.clock.sleeps.append(seconds)

    monkeypatch.setattr(lab.clock, "sleep", sleep)
    with caplog.at_level(logging.WARNING):
        assert lab.sync("engage").failures == {}
    assert lab.clock.sleeps[:3] == [2.0, 2.0, 2.0]
    assert caplog.text.count("Another job is loading into the dataset mixpanel") == 1
    access = destination_of(lab.pipeline).acquire()
    with pytest.raises(BusyError, match="Wait until it has ended"):
        lab.sync("engage", max_wait_s=60)
    access.release()


def test_forget_is_refused(lab: Lab) -> None:
    """Nobody is forgotten while a job on another machine loads."""
    lab.sync("engage")
    access = destination_of(lab.pipeline).acquire()
    with pytest.raises(BusyError, match="Another job is loading into the dataset mixpanel"):
        forget(["user-1"], destination="postgres")
    access.release()
    assert forget(["user-1"], destination="postgres").remembered == 1


def test_datasets_are_locked_apart(lab: Lab, postgres: str) -> None:
    """Jobs with different datasets do not wait for each other."""
    other = dlt.pipeline(
        "other", destination=dlt.destinations.postgres(postgres), dataset_name="other"
    )
    access = destination_of(other).acquire()
    assert lab.sync("engage", max_wait_s=0).failures == {}
    access.release()


class Disconnect(Progress):
    """Ends the session that holds the lock, once a window has arrived."""

    def __init__(self, url: str) -> None:
        self._url = url

    def bytes_received(self, table: str, size: int) -> None:  # noqa: ARG002 - as in `Progress`
        """Bytes came."""
        execute(self._url, TERMINATE)


def test_lost_lock_ends_the_job(lab: Lab, postgres: str) -> None:
    """A job whose lock is lost loads nothing more, and says so; the next one loads all."""
    lab.sync("engage")
    with pytest.raises(MixpanelError, match="locked the dataset mixpanel for this job was lost"):
        lab.sync("export", "engage", progress=Disconnect(postgres))
    with psycopg2.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('mixpanel.export')")
        assert cursor.fetchone() == (None,)
    connection.close()
    assert lab.sync().failures == {}
    lab.assert_events_kept()


@pytest.mark.slow
def test_lock_of_another_program(lab: Lab, postgres: str, caplog: pytest.LogCaptureFixture) -> None:
    """A table that another session has locked ends the job for now, saying which session."""
    lab.sync("engage")
    with psycopg2.connect(postgres, application_name="report") as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [(number,)] = cursor.fetchall()
            cursor.execute("LOCK TABLE mixpanel.engage IN ACCESS EXCLUSIVE MODE")
        with caplog.at_level(logging.WARNING):
            failures = lab.sync("engage", max_wait_s=1).failures
    connection.close()
    (failure,) = failures.values()
    assert isinstance(failure, BusyError)
    assert f"session {number} (report, user postgres, idle in transaction)" in failure.reason
    assert "lock on mixpanel.engage" in failure.reason
    assert "for which this job waits" in caplog.text
    assert lab.sync("engage").failures == {}
