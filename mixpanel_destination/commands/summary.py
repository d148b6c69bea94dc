"""What is staged, in numbers: what a user confirms before anything is sent."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import constants
from ..rows.staged import Staged

_ODD = 0x9E3779B97F4A7C15
"""Mixes keys with contents: an odd number with bits everywhere."""


class Shared(NamedTuple):
    """Rows that Mixpanel takes for the same event as another one."""

    equal: int
    """Rows whose content is the same, too."""
    different: int
    """Rows with other content: of these and their likes, Mixpanel keeps one."""


@dataclass
class Summary:
    """Counts staged rows; takes 16 bytes for each."""

    rows: int = 0
    bytes: int = 0
    sent_before: int = 0
    """Rows that are left out, because an earlier run has sent them; not in `rows`."""
    held: int = 0
    """Rows that are not sent."""
    problems: Counter[str] = field(default_factory=Counter)
    """Rows that Mixpanel is expected to refuse, or that are held, by the reason."""
    days: set[str] = field(default_factory=set)
    unbilled: int = 0
    """Identity events, which Mixpanel does not bill."""
    changes: Counter[str] = field(default_factory=Counter)
    """Rows by what was changed in them."""
    shared: Shared = field(default_factory=lambda: Shared(0, 0))
    """Rows that share their key; see `finish`."""
    digest: str = ""
    """Of the set of rows; see `finish`."""
    _keys: array[int] = field(default_factory=lambda: array("Q"))
    """Half of each key."""
    _contents: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, rows: Sequence[Staged]) -> None:
        """Count rows."""
        self.rows += len(rows)
        self.bytes += sum(row.bytes for row in rows)
        self._keys.frombytes(_halves([row.key for row in rows]))
        self._contents.frombytes(_halves([row.content for row in rows]))
        self.days.update(row.day for row in rows)
        self.days.discard("")
        names = Counter(row.event for row in rows)
        self.unbilled += sum(names[name] for name in constants.IDENTITY_EVENTS)
        for row in rows:
            if row.problem:
                self.problems[row.problem] += 1
                self.held += row.held

    @property
    def to_send(self) -> int:
        """Rows that are sent."""
        return self.rows - self.held

    @property
    def expected_refusals(self) -> int:
        """Rows that Mixpanel is expected to refuse."""
        return self.problems.total() - self.held

    def finish(self) -> None:
        """Compute what needs all rows, and free the memory for it."""
        keys = np.frombuffer(self._keys, np.uint64)
        mixed = keys * np.uint64(_ODD) ^ np.frombuffer(self._contents, np.uint64)
        self._contents = array("Q")
        mixed.sort()
        # whatever their order, so it is the same for the same rows
        self.digest = blake2b(mixed, digest_size=16).hexdigest()
        pairs = _count_unique(mixed)
        del mixed
        unique = _count_unique(np.sort(keys))
        self.shared = Shared(equal=self.rows - pairs, different=pairs - unique)
        del keys
        self._keys = array("Q")

    def seconds(self, pace: int) -> float:
        """How long sending takes at a pace, at least; 0 without a pace."""
        if not pace:
            return 0.0
        share = pace / constants.EVENTS_PER_SECOND
        return max(self.to_send / pace, 60 * self.bytes / (constants.BYTES_PER_MINUTE * share))


def _count_unique(ordered: NDArray[np.uint64]) -> int:
    return 0 if not len(ordered) else 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def _halves(digests: Sequence[str]) -> bytes:
    """The first eight bytes of each digest of 16 bytes, given as hex digits."""
    return np.frombuffer(bytes.fromhex("".join(digests)), np.uint64)[::2].tobytes()
