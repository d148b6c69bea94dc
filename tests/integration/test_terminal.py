"""On a terminal: lines that move, and Ctrl-C that ends where nothing is half done."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pytest

from mixpanel_sandbox import Fault, Sandbox, made_up_project
from mixpanel_source import cli, open_pipeline
from mixpanel_source.cli.progress_view import REFRESHES_PER_SECOND, Board
from mixpanel_source.destinations.registry import target_of
from mixpanel_source.jobs.history import STOPPED, read_last_run
from mixpanel_source.paths import data_directory
from tests.support.clock import NOON, wait_until
from tests.support.lab import open_lab
from tests.support.projects import ALL_DAYS, YESTERDAY

CTRL_S = b"\x13"
PROGRAM = [sys.executable, "-m", "mixpanel_source.cli"]
BACKFILL = ["backfill", "--range", f"{ALL_DAYS[0]},{ALL_DAYS[3]}"]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the terminal of commands wide enough for whole lines."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")


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

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._screen, key)

    def wait_for(self, text: str) -> None:
        """Wait until that was written."""
        wait_until(lambda: text in self.text)


@contextmanager
def on_terminal(*arguments: str, with_output: bool = False) -> Iterator[Terminal]:
    """A command on a terminal, which is ended in the end.

    Args:
        arguments: of the program.
        with_output: whether the terminal has its standard output, too.
    """
    screen, other_end = pty.openpty()
    stdout = other_end if with_output else subprocess.PIPE
    command = [*PROGRAM, *arguments]
    with subprocess.Popen(command, stdout=stdout, stderr=other_end) as process:
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
    with on_terminal(*BACKFILL) as terminal:
        terminal.wait_for("waiting for the quota until")
        assert "2 of 4 days  6 rows" in terminal.text
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(10) == cli.INTERRUPTED
        assert "Press Ctrl-C again" in terminal.text
        assert "Cancelled. What is loaded stays. Run the same command" in terminal.text
        assert re.search(r"export +2 of 4 days .* cancelled", terminal.text)
    assert days_loaded() == ALL_DAYS[:2]
    run = read_last_run(target_of(open_pipeline()).last_run_file)
    assert run is not None
    assert (run.outcome, run.rows) == (STOPPED, 6)
    sandbox.forget_requests()
    # as if half an hour had passed: until then, no process sends anything
    for log in data_directory().glob("requests-*.json"):
        log.unlink()
    with on_terminal(*BACKFILL, "--progress", "log") as terminal:
        assert terminal.process.wait(10) == cli.DONE
        assert f"export {ALL_DAYS[2]}: 3 rows" in terminal.text
    assert days_loaded() == ALL_DAYS[:4]
    assert len(sandbox.requests) == 2


TWO_SIGNALS = """
import signal, sys
from mixpanel_source.cli.signals import run_cancellable

def on_cancel():
    print("first", flush=True)
    signal.raise_signal(signal.SIGINT)

def before_exit():
    raise RuntimeError("reentrant call")

def job(cancelled):
    signal.raise_signal(signal.SIGINT)
    sys.stdin.read()

run_cancellable(job, on_cancel=on_cancel, before_exit=before_exit)
"""


def test_second_ctrl_c_ends_while_the_first_is_reported() -> None:
    """Python refuses to write to the terminal within a write, which is no reason to go on."""
    with subprocess.Popen(
        [sys.executable, "-c", TWO_SIGNALS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.wait(20) == cli.INTERRUPTED
        assert process.stdout is not None
        assert process.stdout.read() == b"first\n"


def test_second_ctrl_c_ends_at_once(sandbox: Sandbox) -> None:
    """Where a reply does not come, the first may take a while; the second does not."""
    sandbox.inject(Fault("slow", table="export", request=2, seconds=60))
    with on_terminal(*BACKFILL) as terminal:
        wait_until(lambda: len(sandbox.requests) == 2)
        terminal.process.send_signal(signal.SIGTERM)
        terminal.wait_for("Press Ctrl-C again")
        terminal.process.send_signal(signal.SIGINT)
        code = terminal.process.wait(5)
        assert code == cli.INTERRUPTED, terminal.text
    with on_terminal(*BACKFILL, "--progress", "off") as terminal:
        assert terminal.process.wait(10) == cli.DONE
        assert terminal.text == ""
    assert days_loaded() == ALL_DAYS[:4]


def test_second_ctrl_c_ends_although_the_terminal_is_stopped(sandbox: Sandbox) -> None:
    """After Ctrl-S nothing can be written, and whoever tries to holds the lock of the output."""
    sandbox.inject(Fault("slow", table="export", request=2, seconds=60))
    with on_terminal(*BACKFILL) as terminal:
        wait_until(lambda: len(sandbox.requests) == 2)
        terminal.press(CTRL_S)
        time.sleep(2 / REFRESHES_PER_SECOND)  # so that the live view waits
        terminal.process.send_signal(signal.SIGTERM)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(5) == cli.INTERRUPTED


class Recorder(Board):
    """A board that also records the requests."""

    def __init__(self, *tables: str) -> None:
        """Start with none."""
        super().__init__(tables, now=lambda: NOON, forecast=lambda _table, _requests: 0.0)
        self.requests: list[tuple[str, str]] = []

    def request_sent(self, table: str, detail: str) -> None:
        """Record it."""
        self.requests.append((table, detail))
        super().request_sent(table, detail)


def test_progress_is_that_of_selected_tables() -> None:
    """What is requested and loaded beside a selected table is progress of that table."""
    tables = ("annotations", "data_pipelines")
    board = Recorder(*tables)
    with open_lab(made_up_project(last_day=YESTERDAY, days=1)) as lab:
        result = lab.sync(*tables, progress=board)
    assert {("annotations", "annotation_tags"), ("data_pipelines", "data_pipeline_runs")} <= {
        *board.requests
    }
    assert {"annotation_tags", "data_pipeline_runs"} <= {*result.rows}
    assert {cells[0]: cells[-1] for cells in board.cells()} == dict.fromkeys(tables, "done")
    rows = sum(line.rows for line in board.lines.values())
    assert rows == result.rows.total() > 0


@pytest.mark.usefixtures("sandbox")
def test_every_selected_table_has_a_line_that_ends_as_done() -> None:
    """Tables that are loaded beside a selected one have no line of their own."""
    tables = "annotations,data_pipelines"
    with on_terminal("sync", "--tables", tables, with_output=True) as terminal:
        terminal.wait_for("duplicates dropped")
        assert terminal.process.wait(10) == cli.DONE
        live, _, result = terminal.text.partition("rows\r\n")
    last = {line.split()[0]: line.split()[-1] for line in live.splitlines()[-3:] if line.strip()}
    assert last == {"annotations": "done", "data_pipelines": "done", "table": "table"}
    assert "annotation_tags" in result


@pytest.mark.usefixtures("sandbox")
@pytest.mark.slow
def test_results_have_columns() -> None:
    """A terminal shows results below headers, without breaking a name in two."""
    with on_terminal("sync", "--progress", "off", with_output=True) as terminal:
        terminal.wait_for("duplicates dropped")
        assert re.search(r"table +rows\r\nexport +24\r\nengage +5\r\n", terminal.text)
    for command, header, row in (
        ("check", "table +result", "export [-0-9]+|export +will load"),
        ("plan", "table +days +range +again +requests +with auto", r"export +\d+ +\d{4}-"),
        ("status", "table +rows +last read +days +newest event", r"export +24 +\d+ s ago +\d{4}-"),
    ):
        with on_terminal(command, with_output=True) as terminal:
            assert terminal.process.wait(10) == cli.DONE
            assert re.search(rf"{header} *\r\n({row})", terminal.text), terminal.text
