"""Runs another program in the foreground: the notebook, or a shell for SQL."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from types import FrameType

from ...exit_codes import INTERRUPTED

_PATIENCE_SECONDS = 5.0
"""How long a program may take to end after Ctrl-C, which a terminal sends to it as well."""
_SIGNALLED = 128
"""Shells add it to the number of the signal that ended a program."""


def run_in_foreground(command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run a program until it ends.

    SIGTERM, as a service manager sends it, is passed on. After Ctrl-C the program has a few seconds
    to end by itself. Only for the main thread, which alone may set handlers.

    Args:
        command: the program and its arguments.
        env: its environment; that of this process if not given.

    Returns:
        Its exit code, as a shell reports it.
    """
    process = subprocess.Popen([*command], env=env)  # noqa: S603 - the callers name fixed programs

    def terminate(_number: int, _frame: FrameType | None) -> None:
        process.terminate()

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        try:
            process.wait(_PATIENCE_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.terminate()
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
        process.wait()
    return code if code >= 0 else _SIGNALLED - code
