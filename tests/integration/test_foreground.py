"""Programs that a command runs in the foreground end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mixpanel_source.cli.commands.explore.foreground import run_in_foreground

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

WAIT = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {WAIT}"
RUN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from mixpanel_source.cli.commands.explore import foreground; "
    "foreground._PATIENCE_SECONDS = 0.1; "
    "sys.exit(foreground.run_in_foreground([sys.executable, '-c', sys.argv[1]]))"
)


@contextmanager
def running(program: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that runs a program in the foreground, and the id of the program's process."""
    command = [sys.executable, "-c", RUN, program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())


@pytest.mark.parametrize("code", [0, 3])
def test_exit_code(code: int) -> None:
    """It is that of the program."""
    assert run_in_foreground([sys.executable, "-c", f"raise SystemExit({code})"]) == code


@pytest.mark.parametrize(
    ("number", "program", "code"),
    [
        (signal.SIGTERM, WAIT, 128 + signal.SIGTERM),
        (signal.SIGINT, STUBBORN, 128 + signal.SIGINT),
    ],
    ids=["SIGTERM", "SIGINT"],
)
def test_signal_ends_the_program(number: int, program: str, code: int) -> None:
    """SIGTERM is passed on; a program that ignores Ctrl-C is ended after a while."""
    with running(program) as (process, child):
        process.send_signal(number)
        assert process.wait(20) == code
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
