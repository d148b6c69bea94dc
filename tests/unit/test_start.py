"""What starts at once: the command line and a process that decodes take nothing heavy along."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mixpanel_source

HEAVY = ("dlt", "duckdb", "pyarrow", "requests", "rich", "urllib3")
STARTS = {
    "help": ("from mixpanel_source.cli import main; main(['--help'])", HEAVY),
    "help of a command": ("from mixpanel_source.cli import main; main(['sync', '--help'])", HEAVY),
    "version": ("from mixpanel_source.cli import main; main(['--version'])", HEAVY),
    # only a terminal needs it
    "status": ("from mixpanel_source.cli import main; main(['status'])", ("rich",)),
    "status as JSON": (
        "from mixpanel_source.cli import main; main(['status', '--json'])",
        ("rich",),
    ),
    "sync": ("from mixpanel_source.cli import main; main(['sync', '--progress=auto'])", ("rich",)),
    "package": ("import mixpanel_source; dir(mixpanel_source)", HEAVY),
    "decode": ("import mixpanel_source.decode.decoder", ("dlt", "duckdb", "requests", "urllib3")),
}
SHOW_MODULES = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"


def loaded_by(statements: str) -> set[str]:
    """The modules of a process of its own once it has run `statements`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{SHOW_MODULES}\n{statements}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {*done.stderr.split()}


@pytest.mark.parametrize("start", STARTS)
def test_start_is_light(start: str) -> None:
    """Nothing of what takes long to import is imported before it is needed."""
    statements, heavy = STARTS[start]
    loaded = loaded_by(statements)
    assert "mixpanel_source" in loaded
    assert [name for name in heavy if name in loaded] == []


def test_what_the_package_offers_is_there_when_asked_for() -> None:
    """Its names are importable, listed and the objects that do the work; others are refused."""
    assert set(mixpanel_source.__all__) <= set(dir(mixpanel_source))
    assert "dlt" in loaded_by("from mixpanel_source import *; mixpanel_source, sync")
    assert mixpanel_source.sync.__module__ == "mixpanel_source.jobs.sync"
    assert callable(mixpanel_source.mixpanel_source)
    with pytest.raises(AttributeError, match="no attribute 'Mixpanel'"):
        mixpanel_source.Mixpanel  # noqa: B018 - asking is the point
