"""The command line: `mixpanel-source COMMAND`.

`app` is the program, `commands` has a module for each command. `job` runs the commands that load.
"""

from .app import build_parser, main, run
from .commands.demo import QUERY as DEMO_QUERY
from .commands.sandbox import DAYS as DEMO_DAYS
from .exit_codes import DONE, FAILED, INTERRUPTED, LATER, UNCHANGED, WRONG_USAGE

__all__ = [
    "DEMO_DAYS",
    "DEMO_QUERY",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "LATER",
    "UNCHANGED",
    "WRONG_USAGE",
    "build_parser",
    "main",
    "run",
]
