"""How much memory the allocator of C keeps for itself, where it is that of glibc."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Any

_M_ARENA_MAX = -8
"""Number of an option of `mallopt`, from malloc.h of glibc."""
_ARENAS = 2
_NOT_GLIBC = (AttributeError, OSError, TypeError)
"""What it raises to look for a function of glibc on other systems."""


def limit_arenas() -> None:
    """Let all threads allocate from two heaps, unless the environment sets another number.

    By default glibc gives threads heaps of their own, up to eight for each processor. Blocks of
    rows are allocated by one thread and freed by another, so that each heap has room which other
    threads cannot use: a tenth of the memory of a load. For programs only, because it holds for the
    whole process.

    Source: https://man7.org/linux/man-pages/man3/mallopt.3.html.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(*_NOT_GLIBC):
            _libc().mallopt(_M_ARENA_MAX, _ARENAS)


def release_memory() -> None:
    """Return freed memory, which the allocators of arrow and C keep, to the system."""
    import pyarrow as pa  # noqa: PLC0415 - the rest of this module does without

    pa.default_memory_pool().release_unused()
    with suppress(*_NOT_GLIBC):
        _libc().malloc_trim(0)


def _libc() -> Any:  # noqa: ANN401 - a library of C
    return ctypes.CDLL(None)
