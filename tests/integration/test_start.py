"""What a command imports and leaves undone when it ends, counted instead of timed."""

from __future__ import annotations

import subprocess
import sys

from mixpanel_source import cli
from tests.support.lab import Lab

SHOW_MODULES = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
MAX_MODULES = {"status": 1_300, "plan": 1_450, "sync --tables export --progress off": 1_500}
"""Command -> maximum modules, a tenth above those of 2026; dlt alone takes 700."""


def test_commands_import_little(configured_lab: Lab) -> None:
    """No more modules than there were; and to tell what is loaded, neither Arrow nor NumPy."""
    configured_lab.sync("export")
    for command, most in MAX_MODULES.items():
        program = f"{SHOW_MODULES}\nfrom mixpanel_source.cli import run\nrun()"
        done = subprocess.run(
            [sys.executable, "-c", program, *command.split()],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == cli.DONE, done.stderr
        modules = {*done.stderr.split()}
        assert len(modules) <= most, command
        assert not modules & {"rich", "sqlalchemy.orm", "numba", "pandas"}, command
        if command == "status":
            assert not modules & {"numpy", "pyarrow"}
