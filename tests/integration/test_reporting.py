"""How runs are reported: a file of metrics, and a notice of failures."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from mixpanel_sandbox import Fault, Sandbox
from mixpanel_source import cli, sync
from mixpanel_source.api import webhook
from mixpanel_source.errors import ConfigError
from mixpanel_source.jobs.reporting.metrics import parse
from tests.support.lab import Lab
from tests.support.raw_server import raw_server

TOKEN = "token-of-the-webhook"


@contextmanager
def webhook_server(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """URL of a server, and the notices that it has received."""
    notices: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            notices.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{TOKEN}", notices
        server.shutdown()
        thread.join()


def metrics(path: Path) -> dict[str, float]:
    """Name and last label of each sample -> its value."""
    return {
        " ".join([sample.name, *(value for name, value in sample.labels[2:])]): sample.value
        for sample in parse(path.read_text())
    }


def test_runs_are_reported(lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A success, a failed table and broken settings: each updates the file; failures are sent."""
    path = tmp_path / "mixpanel.prom"
    with webhook_server() as (url, notices):
        reporting = {"metrics_file": str(path), "on_failure_url": url, "requests_per_hour": 60}
        lab.sync(**reporting)
        first = metrics(path)
        assert first["rows export"] == 24
        assert first["bytes export"] > 1000
        assert (first["requests"], first["quota_left export"]) == (9, 52)
        assert (first["lag_days export"], first["exit_code"]) == (0, 0)
        assert first["last_success_timestamp_seconds"] == first["last_run_timestamp_seconds"]
        assert notices == []

        lab.clock.advance(days=2)
        lab.sandbox.inject(Fault("402", table="engage"), Fault("402", table="export"))
        result = lab.sync(**reporting)
        failed = metrics(path)
        assert (result.exit_code, failed["exit_code"], failed["table_failed engage"]) == (1, 1, 1)
        assert failed["last_success_timestamp_seconds"] == first["last_success_timestamp_seconds"]
        assert (failed["rows export"], failed["lag_days export"]) == (0, 2)
        (notice,) = notices
        assert (notice["job"], notice["project"], notice["exit_code"]) == ("sync", "1234567", 1)
        assert {one["table"]: one["error"] for one in notice["failures"]} == {
            "export": "PlanError",
            "engage": "PlanError",
        }
        assert notice["text"].startswith("mixpanel-source sync of 1234567 ended with exit code 1: ")

        with pytest.raises(ConfigError):
            lab.sync(region="mars", **reporting)
        broken = metrics(path)
        assert (broken["exit_code"], broken["last_success_timestamp_seconds"]) == (
            2,
            first["last_success_timestamp_seconds"],
        )
        assert notices[-1]["failures"][0]["table"] is None
        assert "us, eu, in" in notices[-1]["failures"][0]["message"]
    assert sorted(tmp_path.glob("*.prom")) == [path]
    # the server is gone
    caplog.clear()
    with pytest.raises(ConfigError):
        lab.sync(region="mars", **reporting)
    assert "sent to on_failure_url at 127.0.0.1: ConnectionError" in caplog.text
    assert TOKEN not in caplog.text


def test_command_reports_each_project(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--metrics-file` holds all projects of a run, also those whose settings are broken."""
    path = tmp_path / "metrics.prom"
    names = "SOURCES__MIXPANEL__PROJECTS__"
    monkeypatch.setenv(f"{names}SHOP__SECRET", "wrong")
    monkeypatch.setenv(f"{names}BLOG__REGION", "mars")
    with webhook_server(status=500) as (url, notices):
        monkeypatch.setenv("SOURCES__MIXPANEL__ON_FAILURE_URL", url)
        command = ["sync", "--projects", "all", "--metrics-file", str(path)]
        assert cli.main(command) == cli.WRONG_USAGE
    assert [notice["project"] for notice in notices] == ["blog", "shop"]
    samples = [*parse(path.read_text())]
    assert {s.label("project"): s.value for s in samples if s.name == "exit_code"} == {
        "blog": 2.0,
        "shop": 2.0,
    }
    assert sandbox.requests


def test_unusable_places_change_nothing(
    lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that does not exist and a server that never answers end in warnings."""
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.2)

    done = Event()

    def hang(_path: str, _params: dict[str, str]) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        done.wait()

    with raw_server(hang) as server, caplog.at_level(logging.WARNING):
        settings = {**lab.settings, "region": "mars"}
        with pytest.raises(ConfigError):
            sync(
                metrics_file=str(tmp_path / "missing" / "x.prom"),
                on_failure_url=server.url,
                **settings,
            )
        done.set()
    assert "The metrics could not be written to" in caplog.text
    assert "on_failure_url at 127.0.0.1" in caplog.text
