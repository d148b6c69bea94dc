"""`mixpanel-source open`."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from ....errors import ConfigError
from ...exit_codes import DONE, INTERRUPTED
from ...options import add_target
from ...parser import Commands, add_command
from ...startup import fast_imports
from .foreground import run_in_foreground

NOTEBOOK = Path("pipelines", "local_analysis.py")
"""In the package, if it was installed from a wheel, or beside it in a clone."""
PACKAGES = ("marimo", "altair")


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = "Open the notebook over what is loaded, in the browser; sends no request."
    parser = add_command(commands, "open", run, summary=summary)
    parser.add_argument(
        "--edit", action="store_true", help="show the code of the notebook and allow changes"
    )
    parser.add_argument("--port", type=int, help="port on this machine (default: a free one)")
    parser.add_argument("--headless", action="store_true", help="do not start a browser")
    add_target(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    if any(find_spec(package) is None for package in PACKAGES):
        raise ConfigError(
            "The notebook needs packages that are not installed: pip install "
            "'mixpanel-source[notebook]'."
        )
    with fast_imports():
        from ....commands.query import find_existing, open_dataset

    names = {"dataset": options.dataset, "name": options.pipeline}
    opened = open_dataset(options.destination, **names)
    if opened.file is None:
        source = {
            "MIXPANEL_DESTINATION": options.destination,
            "MIXPANEL_DATASET": options.dataset,
            "MIXPANEL_PIPELINE": options.pipeline,
        }
    else:
        source = {"MIXPANEL_DUCKDB": str(find_existing(opened.file))}
    command = [sys.executable, "-m", "marimo", "edit" if options.edit else "run", str(_path())]
    command += ["--port", str(options.port)] if options.port else []
    command += ["--headless"] if options.headless else []
    code = run_in_foreground(command, env={**os.environ, **source})
    # Ctrl-C is how one closes it
    return DONE if code == INTERRUPTED else code


def _path() -> Path:
    package = Path(__file__).parents[3]
    found = [path for path in (package / NOTEBOOK, package.parent / NOTEBOOK) if path.exists()]
    if not found:
        raise ConfigError(
            f"The notebook {NOTEBOOK.name} is not part of this installation. Copy it from "
            "pipelines/ of the repository, and run it with: marimo run local_analysis.py."
        )
    return found[0]
