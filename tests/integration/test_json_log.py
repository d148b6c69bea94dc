"""With `--log-format json`, standard error is one JSON object a line."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

from mixpanel_sandbox import SECRET, Fault, Project, Sandbox
from mixpanel_source import cli
from mixpanel_source.cli.json_log import JsonFormatter
from mixpanel_source.cli.output import log_complaints
from tests.support.projects import make_recent_project


@pytest.fixture
def project() -> Project:
    """A day of events, up to yesterday."""
    return make_recent_project(1)


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Undo what the command changes in the logging of this process, and dlt with it.

    dlt gives its JSON formatter to every handler, those of pytest included. From Python 3.12 on
    that formatter warns with each record, which is an error in the tests that follow.
    """
    handlers = {handler: handler.formatter for handler in logging.root.handlers}
    default = vars(logging)["_defaultFormatter"]
    yield
    # the fixture that ends next sets up dlt's logging again
    os.environ.pop("RUNTIME__LOG_FORMAT", None)
    logging.root.handlers[:] = handlers
    for handler, formatter in handlers.items():
        handler.setFormatter(formatter)
    vars(logging)["_defaultFormatter"] = default
    logging.captureWarnings(False)
    log_complaints(False)


def records(err: str) -> list[dict[str, Any]]:
    """The objects in what was printed."""
    return [json.loads(line) for line in err.splitlines()]


def test_log_is_json(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Windows, retries and errors are records with fields; the result stays on stdout."""
    sandbox.inject(Fault("500", table="export", times=1), Fault("402", table="engage"))
    assert cli.main(["sync", "--log-format", "json", "--debug"]) == cli.FAILED
    done = capsys.readouterr()
    retry, window, *_, error = records(done.err)
    assert (retry["level"], retry["table"]) == ("WARNING", "export")
    assert window["level"] == "INFO"
    assert window["logger"] == "mixpanel_source"
    assert window["time"].endswith("+00:00")
    assert (window["table"], window["rows"], window["requests"]) == ("export", 3, 2)
    assert window["message"].startswith(f"export {window['window'][:10]}: 3 rows")
    assert (error["level"], error["error"]) == ("ERROR", "PlanError")
    assert error["message"].startswith("engage")
    assert SECRET not in done.err
    assert done.out.startswith("export: 3 rows\n")


def test_records_keep_their_project() -> None:
    """Every line after a project was announced is of that project; values of any type are text."""
    formatter = JsonFormatter()

    def format_record(**fields: Any) -> dict[str, Any]:
        record = logging.makeLogRecord({"msg": "a\nb", "levelname": "INFO", **fields})
        line = formatter.format(record)
        assert "\n" not in line
        parsed: dict[str, Any] = json.loads(line)
        return parsed

    assert "project" not in format_record()
    assert format_record(project="shop")["project"] == "shop"
    assert format_record(table={1})["project"] == "shop"
    assert (
        format_record(exc_info=(ValueError, ValueError("a value"), None))["error"] == "ValueError"
    )
