"""How a command ends: its exit code, and what it says of what went wrong."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable

from ..errors import CancelledError, MixpanelError

DONE, FAILED, WRONG_USAGE, LATER = 0, 1, 2, 75
INTERRUPTED = 130
"""What shells use for a command that was ended by Ctrl-C: 128 and the number of the signal."""


def tell_errors(errors: Iterable[MixpanelError], *, debug: bool = False) -> None:
    """Print a line for each cause, with all that was asked when it struck.

    Args:
        errors: what went wrong.
        debug: whether to print where, too.
    """
    causes: dict[str, list[str]] = {}
    for error in errors:
        if debug:
            print_traceback(error)
        if isinstance(error, CancelledError):
            continue
        causes.setdefault(error.reason, []).append(error.subject)
    for cause, struck in causes.items():
        what = f"{', '.join(filter(None, struck))}: " if any(struck) else ""
        print(f"error: {what}{cause}", file=sys.stderr)


def print_traceback(error: BaseException) -> None:
    """Print where an error comes from: of others' errors the kind alone, for they quote values."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    for link in reversed(chain):
        frames = "".join(traceback.format_tb(link.__traceback__))
        said = f": {link}" if isinstance(link, MixpanelError) else ""
        print(
            f"Traceback (most recent call last):\n{frames}{type(link).__qualname__}{said}\n",
            file=sys.stderr,
        )
