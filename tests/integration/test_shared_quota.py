"""The quota is the project's: whatever processes and machines share it, they keep it together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mixpanel_sandbox import SECRET, USERNAME, Fault, Sandbox
from mixpanel_source.api.client import Client
from mixpanel_source.api.reply import Reply
from mixpanel_source.api.request import Request
from mixpanel_source.api.request_log import open_request_log
from mixpanel_source.catalog.endpoints import endpoint
from mixpanel_source.config.build import build_config
from mixpanel_source.config.model import Config
from mixpanel_source.errors import ConfigError, MixpanelError, PausedError
from tests.support.clock import Clock
from tests.support.projects import make_project

COHORTS = Request(endpoint("cohorts"), "cohorts")
HOUR_S = 3_600
REQUEST_IN_A_PROCESS = """
import json, sys
from pathlib import Path
from mixpanel_source.api.client import Client
from mixpanel_source.api.reply import Reply
from mixpanel_source.api.request import Request
from mixpanel_source.catalog.endpoints import endpoint
from mixpanel_source.config.build import build_config
from mixpanel_source.errors import PausedError

client = Client(build_config(json.loads(sys.argv[1])), directory=Path(sys.argv[2]))
print(flush=True)
input()
try:
    for _ in range(20):
        client.send(Request(endpoint("cohorts"), "cohorts"), Reply.body, patience_s=15)
except PausedError:
    pass
"""
"""Sends requests as fast as the quota allows, until it allows no more."""


def settings_of(sandbox: Sandbox, **given: Any) -> dict[str, Any]:
    """The settings of a client, with the defaults that users have."""
    urls = {"base_url": sandbox.url, "export_base_url": sandbox.url}
    return {"username": USERNAME, "secret": SECRET, "project_id": 1234567, **urls, **given}


def config_of(sandbox: Sandbox, **given: Any) -> Config:
    """The settings of a client, parsed."""
    return build_config(settings_of(sandbox, **given))


@contextmanager
def started(settings: dict[str, Any], directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that sends requests once it is given a line."""
    command = [sys.executable, "-c", REQUEST_IN_A_PROCESS, json.dumps(settings), str(directory)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(params=["directory", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place that several processes share."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres"))
    return str(tmp_path / "shared")


@pytest.mark.slow
def test_six_processes_on_two_machines(tmp_path: Path, store: str) -> None:
    """Together they make 12 requests in the hour, none too soon after another, none refused."""
    spacing_s = 0.25
    with Sandbox(make_project(), queries_per_hour=12) as sandbox:
        settings = settings_of(
            sandbox, quota_store=store, requests_per_hour=12, requests_per_second=1 / spacing_s
        )
        machines = [tmp_path / f"machine {number % 2}" for number in range(6)]
        with ExitStack() as stack:
            running = [stack.enter_context(started(settings, machine)) for machine in machines]
            for process in running:
                assert process.stdout is not None
                assert process.stdout.readline()
            for process in running:
                process.communicate("\n", timeout=50)
                assert process.returncode == 0
        assert [record.status for record in sandbox.requests] == [200] * 12
        starts = sorted(record.started for record in sandbox.requests)
        assert all(later - earlier >= spacing_s for earlier, later in pairwise(starts))


def test_limit_is_kept_together(tmp_path: Path, store: str) -> None:
    """What one client used is not left to another with a directory of its own."""
    clock = Clock()
    with Sandbox(make_project(), clock=clock.time, queries_per_hour=3) as sandbox:
        config = config_of(sandbox, quota_store=store, requests_per_hour=3)
        first, second = (Client(config, clock=clock, directory=tmp_path / name) for name in "ab")
        for client in (first, second, first):
            client.send(COHORTS, Reply.body)
        for client in (first, second):
            with pytest.raises(PausedError):
                client.send(COHORTS, Reply.body, patience_s=600)
        clock.advance(seconds=HOUR_S)
        second.send(COHORTS, Reply.body)
        assert [record.status for record in sandbox.requests] == [200] * 4
        assert second.requests_left() == {"query": 2, "export": 3}


def test_client_waits_while_another_sends(tmp_path: Path, store: str) -> None:
    """While another process has no answer nothing is sent; the wait ends with `patience_s`."""
    clock = Clock()
    with Sandbox(make_project(), clock=clock.time) as sandbox:
        config = config_of(sandbox, quota_store=store)
        client = Client(config, clock=clock, directory=tmp_path)
        with open_request_log(config, tmp_path).hold() as usage:
            assert usage is not None
            with pytest.raises(PausedError, match="another process is sending a request"):
                client.send(COHORTS, Reply.body, patience_s=5)
        assert sandbox.requests == []
        client.send(COHORTS, Reply.body)


def test_refusal_closes_the_quota_for_all(tmp_path: Path, store: str) -> None:
    """Where Mixpanel asks one client to wait, the others send nothing before that either."""
    clock = Clock()
    with Sandbox(make_project(), clock=clock.time) as sandbox:
        config = config_of(sandbox, quota_store=store)
        first, second = (Client(config, clock=clock, directory=tmp_path / name) for name in "ab")
        sandbox.inject(Fault("429_headers", seconds=900))
        for client in (first, second):
            with pytest.raises(PausedError):
                client.send(COHORTS, Reply.body, patience_s=60)
        assert [record.status for record in sandbox.requests] == [429]


def test_limit_that_mixpanel_states(tmp_path: Path) -> None:
    """A refusal states a lower limit than the default: it is kept from then on."""
    clock = Clock()
    with Sandbox(make_project(), clock=clock.time, queries_per_hour=2) as sandbox:
        client = Client(config_of(sandbox), clock=clock, directory=tmp_path)
        for _ in range(2):
            client.send(COHORTS, Reply.body)
        with pytest.raises(PausedError):
            client.send(COHORTS, Reply.body, patience_s=600)
        clock.advance(seconds=2 * HOUR_S)
        later = Client(config_of(sandbox), clock=clock, directory=tmp_path)
        for _ in range(2):
            later.send(COHORTS, Reply.body)
        with pytest.raises(PausedError):
            later.send(COHORTS, Reply.body, patience_s=600)
        assert [record.status for record in sandbox.requests] == [200, 200, 429, 200, 200]


@pytest.mark.parametrize("status", ["401", "402", "429"])
def test_refusals_that_do_not_count(tmp_path: Path, status: str) -> None:
    """The quota is as it was before."""
    clock = Clock()
    with Sandbox(make_project(), clock=clock.time) as sandbox:
        client = Client(config_of(sandbox), clock=clock, directory=tmp_path)
        sandbox.inject(Fault(status))
        with pytest.raises(MixpanelError):
            client.send(COHORTS, Reply.body, max_tries=1, patience_s=0)
        assert client.requests_left()["query"] == 60


def test_killed_request_counts(tmp_path: Path, store: str) -> None:
    """It is logged before it is sent, since nobody knows whether Mixpanel got it."""
    clock = Clock()
    with Sandbox(make_project(), clock=clock.time) as sandbox:
        config = config_of(sandbox, quota_store=store)
        client = Client(config, clock=clock, directory=tmp_path)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        client._transport.open = killed  # type: ignore[assignment,method-assign]
        with pytest.raises(KeyboardInterrupt):
            client.send(COHORTS, Reply.body)
        used = open_request_log(config, tmp_path).read().used(clock.time())
        assert used == {"query": 1, "export": 0}


@pytest.mark.parametrize("damage", [b"", b"\0" * 200, b'{"latest": 1', b"[]", b'{"metered": 3}'])
def test_damaged_log_is_replaced(tmp_path: Path, damage: bytes) -> None:
    """A log that cannot be read starts anew with the next request."""
    clock = Clock()
    with Sandbox(make_project(), clock=clock.time) as sandbox:
        config = config_of(sandbox)
        client = Client(config, clock=clock, directory=tmp_path)
        client.send(COHORTS, Reply.body)
        (path,) = tmp_path.glob("requests-*.json")
        path.write_bytes(damage)
        client.send(COHORTS, Reply.body)
        assert open_request_log(config, tmp_path).read().used(clock.time())["query"] == 1
        assert path.stat().st_mode & 0o077 == 0


def test_log_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The requests are made all the same, counted in this process, and that is reported once."""
    clock = Clock()
    directory = tmp_path / "file"
    directory.write_text("in the way")
    with Sandbox(make_project(), clock=clock.time) as sandbox:
        client = Client(config_of(sandbox), clock=clock, directory=directory)
        for _ in range(2):
            client.send(COHORTS, Reply.body)
        assert client.requests_left()["query"] == 58
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"Requests cannot be logged in {directory}: " in caplog.text


def test_database_that_is_away(tmp_path: Path) -> None:
    """Without the log nothing is sent, and the message names the setting, not the password."""
    with Sandbox(make_project()) as sandbox:
        address = "postgresql://loader:hidden@127.0.0.1:1/quota"
        client = Client(config_of(sandbox, quota_store=address), directory=tmp_path)
        with pytest.raises(MixpanelError, match="quota_store: the Postgres database") as caught:
            client.send(COHORTS, Reply.body)
        assert "hidden" not in str(caught.value)
        assert sandbox.requests == []


def test_address_of_something_else() -> None:
    """Only Postgres can be named by an address, and what was given is not repeated."""
    with pytest.raises(
        ConfigError, match="quota_store is of type str; it must be a directory"
    ) as e:
        build_config({"quota_store": "mysql://user:hidden@host/db"})
    assert "hidden" not in str(e.value)
