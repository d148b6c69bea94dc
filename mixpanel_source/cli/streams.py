"""Standard streams that are closed, full, or that nobody reads any more."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

from .output import complain


def replace_closed_streams() -> None:
    """Open the standard streams that the shell has closed, as `2>&-` does, to discard everything.

    Python has None in their place. To `print` that is standard output, so errors would get among
    the results.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - open until exit


def flush_streams() -> bool:
    """Write what is buffered, and discard what cannot be written.

    Returns:
        False if standard output cannot be written: the reader of a pipe closed it, or a disk is
        full. Only the latter is an error to report.
    """
    is_written = True
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        is_written = False
    except OSError as error:
        is_written = False
        complain(f"error: The results cannot be printed: {error.strerror}.")
    if not is_written:
        _discard(sys.stdout)
    try:
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)
    return is_written


def _discard(stream: TextIO) -> None:
    """Make a stream discard what it holds, also when Python flushes it at exit."""
    with suppress(OSError):  # a stream without a descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
