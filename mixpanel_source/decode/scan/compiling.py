"""Compiles the scanner in a process of its own, while blocks are still read without it.

Compiling takes ten seconds, once on each machine. Most first loads are done before that. Without
numba, which is an extra, all blocks are read without the scanner.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Lock

from .cache_directory import COMPLETE, cache_directory

PROGRAM = "mixpanel_source.decode.scan"


class Compilation:
    """Whether the compiled scanner can be used without waiting for the compiler.

    For any number of threads.
    """

    def __init__(self) -> None:
        """Prepare; nothing is compiled before the scanner is wanted."""
        self._lock = Lock()
        self._is_ready = False
        self._process: subprocess.Popen[bytes] | None = None
        self.lacks_numba = False
        """Whether the scanner was wanted, and numba cannot be imported."""

    def is_ready(self) -> bool:
        """Whether the machine code is there; starts compiling it if it is not."""
        if not self._is_ready and not self.lacks_numba:
            with self._lock:
                self._is_ready = self._look()
        return self._is_ready

    def _look(self) -> bool:
        try:
            import_module("numba")
        except ImportError:  # not installed, or not for these versions of Python and NumPy
            self.lacks_numba = True
            return False
        directory = cache_directory()
        # without a cache, another process would compile in vain
        if directory is None or (directory / COMPLETE).exists():
            return True
        if self._process is None:
            self._process = _start()
        # a process that has ended without success leaves the work to this one
        return self._process is None or self._process.poll() is not None


def _start() -> subprocess.Popen[bytes] | None:
    """Start to compile; None if no process can be started."""
    if not sys.executable:
        return None
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with suppress(OSError):
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", PROGRAM],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for the job; what is compiled is of use to the next one
            start_new_session=True,
        )
    return None


compilation = Compilation()
"""Of this process."""
