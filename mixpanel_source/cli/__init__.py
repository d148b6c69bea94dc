"""The command line: `mixpanel-source ...`.

`parser` has the commands and their options, `job`, `questions` and `local` what they do. What
shows progress is in `progress_view` and `live`.
"""

from .app import main
from .exit_codes import DONE, FAILED, INTERRUPTED, LATER, WRONG_USAGE
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
