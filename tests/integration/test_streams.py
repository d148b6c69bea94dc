"""Closed, full and broken standard streams: no traceback, and the right exit code."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mixpanel_source import cli

PROGRAM = f"{sys.executable} -m mixpanel_source.cli"


def run(command: str) -> tuple[int, str, str]:
    """Run a command of bash; returns its exit code, stdout and stderr."""
    done = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", command.format(program=PROGRAM)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "code", "stdout", "stderr"),
    [
        ("{program} --version 2>&-", cli.DONE, "mixpanel-source", ""),
        ("{program} --version >&- 2>&- <&-", cli.DONE, "", ""),
        # errors stay out of the results
        ("{program} sync --tables no 2>&-", cli.WRONG_USAGE, "", ""),
        ("{program} sync --tables no 2> >(true)", cli.WRONG_USAGE, "", ""),
        ("PYTHONUNBUFFERED=1 {program} status | true", cli.FAILED, "", ""),
        ("PYTHONUNBUFFERED= {program} status | true", cli.FAILED, "", ""),
        ("PYTHONUNBUFFERED= {program} status >/dev/full", cli.FAILED, "", "error: The results"),
    ],
)
def test_streams_that_cannot_be_written(command: str, code: int, stdout: str, stderr: str) -> None:
    """A command does its work and reports how it ended, as far as anyone listens."""
    result = run(command)
    assert result[0] == code
    assert result[1].startswith(stdout) if stdout else result[1] == ""
    assert result[2].startswith(stderr) if stderr else result[2] == ""


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_sync_without_streams() -> None:
    """A job loads all the same, and its log goes nowhere."""
    assert run("{program} sync >&- 2>&-") == (cli.DONE, "", "")
    assert run("{program} status --json 2>&-")[1].startswith('{"project_id": 1234567')


@pytest.mark.usefixtures("sandbox")
def test_data_directory_that_cannot_be_made() -> None:
    """The message names the setting, and commands that only read work."""
    code, stdout, stderr = run("DLT_DATA_DIR=/proc/no {program} sync")
    assert (code, stdout) == (cli.FAILED, "")
    assert "set DLT_DATA_DIR" in stderr
    assert stderr.count("\n") == 1
    assert run("DLT_DATA_DIR=/proc/no {program} status")[0] == cli.DONE
