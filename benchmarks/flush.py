"""Measures what it costs to flush windows to the disk: `python -m benchmarks.flush [directory]`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from statistics import median
from unittest.mock import patch

from mixpanel_source.tables.spool.files import CHUNK_BYTES
from mixpanel_source.tables.spool.spool import Spool

SIZES = (10_000, 1_000_000, 20_000_000)
"""Bytes of a window as it is received."""
REPEATS = 15


def time_window(directory: Path, size: int) -> float:
    """Seconds to write a window and give it its name."""
    chunk = os.urandom(min(size, CHUNK_BYTES))
    spool, began = Spool(directory), time.perf_counter()
    deque(spool.write("window", [chunk] * max(1, size // len(chunk))), maxlen=0)
    spool.keep("window", gzipped=True, fetched_at=0.0, requests=1, lines_bytes=size)
    return time.perf_counter() - began


def main() -> None:
    """Print the median time of a window with and without flushing, for several sizes."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as directory:
        for size in SIZES:
            flushed = [time_window(Path(directory, "spool"), size) for _ in range(REPEATS)]
            with patch("os.fsync"):
                plain = [time_window(Path(directory, "spool"), size) for _ in range(REPEATS)]
            times = f"{median(flushed) * 1000:.1f} ms, not flushed {median(plain) * 1000:.1f} ms"
            sys.stdout.write(f"{size:>12,} bytes: {times}\n")


if __name__ == "__main__":
    main()
