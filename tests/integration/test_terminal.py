"""On a terminal: lines that move, and Ctrl-C that ends where nothing is half done."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pytest

from mixpanel_sandbox import Fault, Sandbox
from mixpanel_source import cli
from mixpanel_source.jobs.history import STOPPED, read_last_run
from mixpanel_source.paths import last_run_file
from tests.integration.jobs import ALL_DAYS, configured_sandbox, make_project
from tests.integration.sandbox_calls import wait_until

SYNC = [sys.executable, "-m", "mixpanel_source.cli", "backfill"]
RANGE = ["--range", f"{ALL_DAYS[0]},{ALL_DAYS[3]}"]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A project, with all that is needed to read it in the environment."""
    with configured_sandbox(make_project(), monkeypatch) as running:
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "160")
        yield running


class Terminal:
    """A command whose errors and progress go to a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        """Watch what `process` writes to `screen`."""
        self.process = process
        self._screen = screen
        self._written = b""

    @property
    def text(self) -> str:
        """All that was written so far, without what moves the cursor."""
        while select.select([self._screen], [], [], 0)[0]:
            try:
                self._written += os.read(self._screen, 65_536)
            except OSError:  # the other end is closed
                break
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._written.decode(errors="replace"))

    def wait_for(self, text: str) -> None:
        """Wait until that was written."""
        wait_until(lambda: text in self.text)


@contextmanager
def on_terminal(*options: str) -> Iterator[Terminal]:
    """A backfill of four days on a terminal, which is ended in the end."""
    screen, other_end = pty.openpty()
    command = [*SYNC, *RANGE, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=other_end) as process:
        os.close(other_end)
        try:
            yield Terminal(process, screen)
        finally:
            process.kill()
            os.close(screen)


def days_loaded() -> list[str]:
    """The days that are in the table."""
    with duckdb.connect("mixpanel.duckdb", read_only=True) as connection:
        rows = connection.execute("SELECT DISTINCT event_date FROM mixpanel.export ORDER BY 1")
        return [str(day) for (day,) in rows.fetchall()]


def test_ctrl_c_loads_what_came_and_the_next_run_goes_on(sandbox: Sandbox) -> None:
    """Stopped in a wait of half an hour it loads two days; the same command loads the others."""
    sandbox.inject(Fault("429", table="export", request=3, seconds=1800))
    with on_terminal() as terminal:
        terminal.wait_for("waits for the quota until")
        assert "2 of 4 days  6 rows" in terminal.text
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(10) == cli.INTERRUPTED
        assert "Press Ctrl-C again" in terminal.text
        assert "Run the same command to go on" in terminal.text
    assert days_loaded() == ALL_DAYS[:2]
    run = read_last_run(last_run_file("mixpanel"))
    assert run is not None
    assert (run.outcome, run.rows) == (STOPPED, 6)
    sandbox.forget_requests()
    with on_terminal("--progress", "log") as terminal:
        assert terminal.process.wait(10) == cli.DONE
        assert f"export {ALL_DAYS[2]}: 3 rows" in terminal.text
    assert days_loaded() == ALL_DAYS[:4]
    assert len(sandbox.requests) == 2


def test_second_ctrl_c_ends_at_once(sandbox: Sandbox) -> None:
    """Where a reply does not come, the first may take a while; the second does not."""
    sandbox.inject(Fault("slow", table="export", request=2, seconds=60))
    with on_terminal() as terminal:
        wait_until(lambda: len(sandbox.requests) == 2)
        terminal.process.send_signal(signal.SIGTERM)
        terminal.wait_for("Press Ctrl-C again")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(5) == cli.INTERRUPTED
    with on_terminal("--progress", "off") as terminal:
        assert terminal.process.wait(10) == cli.DONE
        assert terminal.text == ""
    assert days_loaded() == ALL_DAYS[:4]
