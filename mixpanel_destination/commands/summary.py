"""What is staged, in numbers: what a user confirms before anything is sent."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from .. import constants
from ..rows.staged import Staged


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
    held: int = 0
    """Rows that are not sent."""
    problems: Counter[str] = field(default_factory=Counter)
    """Rows that Mixpanel is expected to refuse, or that are held, by the reason."""
    days: set[str] = field(default_factory=set)
    changes: Counter[str] = field(default_factory=Counter)
    """Rows by what was changed in them."""
    unrepeatable: int = 0
    """Updates whose effect doubles if they are sent twice."""
    _keys: array[int] = field(default_factory=lambda: array("Q"))
    _contents: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, row: Staged) -> None:
        """Count a row."""
        self.rows += 1
        self.bytes += row.bytes
        self._keys.append(int(row.key[:16], 16))
        self._contents.append(int(row.content[:16], 16))
        if row.day:
            self.days.add(row.day)
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

    def shared(self) -> Shared:
        """Rows that share their key with another one."""
        keys = np.frombuffer(self._keys, np.uint64)
        contents = np.frombuffer(self._contents, np.uint64)
        unique = len(np.unique(keys))
        pairs = len(np.unique(keys * np.uint64(0x9E3779B97F4A7C15) ^ contents))
        return Shared(equal=self.rows - pairs, different=pairs - unique)

    def digest(self) -> str:
        """A digest of the set of rows, whatever their order."""
        keys = np.frombuffer(self._keys, np.uint64)
        contents = np.frombuffer(self._contents, np.uint64)
        mixed = np.sort(keys * np.uint64(0x9E3779B97F4A7C15) ^ contents)
        return blake2b(mixed.tobytes(), digest_size=16).hexdigest()

    def seconds(self, pace: int) -> float:
        """How long sending takes at a pace, at least; 0 without a pace."""
        if not pace:
            return 0.0
        share = pace / constants.EVENTS_PER_SECOND
        return max(self.to_send / pace, 60 * self.bytes / (constants.BYTES_PER_MINUTE * share))
