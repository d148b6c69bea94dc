"""Memory that was freed and is still kept by an allocator."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def release_memory() -> None:
    """Return freed memory, which the allocators of arrow and C keep, to the system.

    Blocks of rows are allocated by one thread and freed by another. In glibc each of these threads
    has a heap of its own, so the gaps in one cannot be used by another.
    """
    import pyarrow as pa  # noqa: PLC0415 - the rest of this module does without

    pa.default_memory_pool().release_unused()
    # not glibc; on Windows, not even a library of C
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
