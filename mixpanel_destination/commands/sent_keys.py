"""The events that earlier runs have sent, so that they are not sent, and perhaps billed, again."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
from numpy.typing import NDArray

from ..rows.staged import Staged
from ..runs import ProjectRuns


class SentKeys:
    """Keys of the events that Mixpanel has accepted from this machine; 16 bytes each."""

    def __init__(self, runs: ProjectRuns) -> None:
        """Read the keys of all runs of events to a project."""
        files = [
            str(path)
            for send in runs.sends()
            if send.kind == "events"
            for path in runs.log(send.run).batches.glob("*.parquet")
        ]
        keys = _read(files) if files else _words([])
        # sorted by the first half, of which hardly two are the same
        self._first, self._second = keys[np.lexsort((keys[:, 1], keys[:, 0]))].T

    def new(self, rows: Sequence[Staged]) -> list[Staged]:
        """The rows that were not sent before."""
        if not len(self._first) or not rows:
            return [*rows]
        first, second = _words([row.key for row in rows]).T
        begin = np.searchsorted(self._first, first, "left")
        end = np.searchsorted(self._first, first, "right")
        return [
            row
            for row, low, high, rest in zip(rows, begin, end, second, strict=True)
            if low == high or rest not in self._second[low:high]
        ]


def _read(files: Sequence[str]) -> NDArray[np.uint64]:
    cursor = duckdb.execute(
        "SELECT DISTINCT key FROM read_parquet(?) WHERE outcome = 'accepted'", [files]
    )
    parts = []
    while rows := cursor.fetchmany(100_000):
        parts.append(_words([key for (key,) in rows]))
    return np.concatenate(parts) if parts else _words([])


def _words(keys: Sequence[str]) -> NDArray[np.uint64]:
    """Keys of 32 hex digits as two numbers each; shape (keys, 2)."""
    return np.frombuffer(bytes.fromhex("".join(keys)), np.uint64).reshape(-1, 2)
