"""The memory that the allocator keeps."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

_COUNT_HEAPS = """
import ctypes, re, tempfile, threading
from mixpanel_source.memory import limit_arenas

limit_arenas()
libc = ctypes.CDLL(None)
together = threading.Barrier(7)

def allocate():
    together.wait()
    libc.malloc(1000)
    together.wait()

for _ in range(6):
    threading.Thread(target=allocate).start()
together.wait()
together.wait()
with tempfile.NamedTemporaryFile() as file:
    libc.fopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(len(re.findall("<heap nr", file.read().decode())))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has several heaps")
@pytest.mark.parametrize(("configured", "heaps"), [(None, 2), ("5", 5)])
def test_threads_share_heaps(configured: str | None, heaps: int) -> None:
    """All threads allocate from two heaps, or from as many as the environment says."""
    env = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    if configured is not None:
        env["MALLOC_ARENA_MAX"] = configured
    command = [sys.executable, "-c", _COUNT_HEAPS]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert int(done.stdout) == heaps
