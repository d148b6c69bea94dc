"""Compares the content of duplicates with that of the rows that are kept instead.

Pure. Two events with the same name, user, `$insert_id` and day are the same event for Mixpanel,
whatever else they contain. A sender that uses an `$insert_id` twice by mistake loses events, so
duplicates with other content are counted.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import orjson
from numpy.typing import NDArray

from ..blocks import ReadBlock
from ..json_values import DIGEST_BYTES, content_digest, repair_row
from .identity import VOLATILE

_OF_ARRIVAL = (*VOLATILE, "$mp_api_timestamp_ms", "$mp_api_endpoint", "mp_sent_by_lib_version")
"""Properties that differ when one event is sent twice."""


class ContentComparison:
    """Digests of the rows of a window that are duplicates, or kept instead of duplicates."""

    def __init__(self, pairs: NDArray[np.int64]) -> None:
        """Compare pairs of rows.

        Args:
            pairs: shape (pairs, 2), the positions of a duplicate and of the row kept instead.
        """
        self._pairs = pairs
        self._wanted = np.unique(pairs)
        self._digests = np.zeros((len(self._wanted), DIGEST_BYTES), np.uint8)

    def note(self, block: ReadBlock, start: int) -> None:
        """Read the wanted rows of a block; may be called on any thread.

        Args:
            block: of the window.
            start: position of its first row.
        """
        first, last = np.searchsorted(self._wanted, (start, start + block.row_count))
        for place, position in enumerate(self._wanted[first:last].tolist(), int(first)):
            digest = _digest(block.line(position - start))
            self._digests[place] = np.frombuffer(digest, np.uint8)

    def count_differing(self) -> int:
        """Duplicates whose content differs, once all blocks were noted."""
        dropped, kept = self._digests[np.searchsorted(self._wanted, self._pairs.T)]
        return int((dropped != kept).any(axis=1).sum())


def _digest(line: bytes) -> bytes:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = repair_row(line, Counter())
    properties = row["properties"].items()
    return content_digest({name: value for name, value in properties if name not in _OF_ARRIVAL})
