"""The end of a process that does not take the interpreter apart."""

from __future__ import annotations

import subprocess
import sys

import pytest

END = "from mixpanel_source.cli.process import end_process"
PROGRAMS = {
    "what is registered runs": (
        "import atexit; atexit.register(print, 'registered')",
        "registered\n",
    ),
    "another thread is waited for": (
        "import threading, time\n"
        "def work(): time.sleep(0.2); print('worked')\n"
        "threading.Thread(target=work).start()",
        "worked\n",
    ),
    "a daemon is not": (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=[60], daemon=True).start()",
        "",
    ),
    "no object is destroyed": (
        "class Late:\n    def __del__(self): print('destroyed')\nlate = Late()",
        "",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_end(name: str) -> None:
    """It has the exit code, and waits only for what the interpreter waits for."""
    program, printed = PROGRAMS[name]
    done = subprocess.run(
        [sys.executable, "-c", f"{END}\n{program}\nend_process(75)"],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (75, printed, "")
