"""The command line: `mixpanel-source ...`.

`parser` has the commands and their options, `jobs`, `questions` and `local` what they do, `exits`
the exit codes. What shows progress is in `board` and `live`.
"""

from .entry import main
from .exits import DONE, FAILED, INTERRUPTED, LATER, WRONG_USAGE
from .local import DEMO_DAYS, DEMO_QUERY
from .parser import build_parser

__all__ = [
    "DEMO_DAYS",
    "DEMO_QUERY",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "LATER",
    "WRONG_USAGE",
    "build_parser",
    "main",
]
