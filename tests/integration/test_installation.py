"""Without the packages of an extra, everything else works, and messages name the extra."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone

import pytest

from mixpanel_sandbox import Project, Sandbox
from mixpanel_source import cli
from mixpanel_source.decode.scan import __main__ as compiler
from mixpanel_source.decode.scan.compiling import compilation

ROWS = 300


@pytest.fixture
def project() -> Project:
    """Yesterday's events: more than a megabyte, which is a large block."""
    day = datetime.now(timezone.utc).date() - timedelta(days=1)
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc).timestamp())
    events = []
    for number in range(ROWS):
        properties = {"time": noon, "$insert_id": f"{number:032x}", "text": "x" * 4_000}
        events.append(json.dumps({"event": "Big", "properties": properties}).encode())
    return Project(events={day: events})


@pytest.fixture
def _without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if numba was not installed."""
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(compilation, "_is_ready", False)
    monkeypatch.setattr(compilation, "lacks_numba", False)


@pytest.mark.usefixtures("_without_numba", "sandbox")
def test_large_window_loads_without_numba(capsys: pytest.CaptureFixture[str]) -> None:
    """All rows are loaded, and the summary ends with the extra that speeds it up."""
    assert cli.main(["sync", "--tables", "export"]) == cli.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"export: {ROWS} rows"
    assert lines[-1].endswith("pip install 'mixpanel-source[fast]'")


@pytest.mark.slow
def test_extra_is_not_suggested_if_installed(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """With numba, nor without a large window, the summary says nothing of it."""
    assert cli.main(["sync", "--tables", "export"]) == cli.DONE
    assert sandbox.requests
    assert "pip install" not in capsys.readouterr().out


@pytest.mark.usefixtures("_without_numba")
def test_compiler_names_the_extra(capsys: pytest.CaptureFixture[str]) -> None:
    """Compiling without numba is an error that names the extra."""
    assert compiler.main() == cli.WRONG_USAGE
    assert "pip install 'mixpanel-source[fast]'" in capsys.readouterr().err
