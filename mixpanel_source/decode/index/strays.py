"""Rows that came with a window although the day of their own time lies outside it.

Pure. Mixpanel selects events by day, and so the own day of an event is a day of the window. It is
another one where the time zone of the project was changed after the event was stored, where the
event has no `time`, and where a reply is not limited to the window.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...windows import Window
from ..event_time import EPOCH_ORDINAL, day_number
from .row_index import RowIndex

MS_A_DAY = 86_400_000


class Strays(NamedTuple):
    """The rows whose own day is not in the window, duplicates left out."""

    positions: NDArray[np.int64]
    """Of the rows, ascending."""
    days: NDArray[np.int32]
    """Their own days, in days since 1970-01-01; `NO_DAY` for rows without a time."""

    def __len__(self) -> int:
        """The number of rows."""
        return self.positions.size

    def most_frequent_day(self, within: Window) -> date | None:
        """The own day that most of the rows have, of the days of a window; None without any."""
        inside = self.days[self._are_within(within)]
        if not inside.size:
            return None
        days, counts = np.unique(inside, return_counts=True)
        return date.fromordinal(int(days[counts.argmax()]) + EPOCH_ORDINAL)

    def of_day(self, day: date) -> NDArray[np.int64]:
        """The positions of the rows whose own day is `day`."""
        return self.positions[np.flatnonzero(self.days == day_number(day))]

    def served_elsewhere(
        self, index: RowIndex, window: Window, requestable: Window
    ) -> NDArray[np.int64]:
        """The positions of the rows that belong to another window, if replies are not limited.

        A row belongs to the window of its own day. If no window can be requested for that day, it
        belongs to that of the day on which it was processed; if this is not known, to any.
        """
        processed = index.ranks(self.positions)
        processed_on = (processed // MS_A_DAY).astype(np.int64)
        first, last = day_number(window.first), day_number(window.last)
        processed_here = (processed_on >= first) & (processed_on <= last)
        return self.positions[self._are_within(requestable) | ((processed > 0) & ~processed_here)]

    def _are_within(self, window: Window) -> NDArray[np.bool_]:
        return (self.days >= day_number(window.first)) & (self.days <= day_number(window.last))


def find_strays(index: RowIndex, window: Window) -> Strays:
    """The rows of a window whose own day lies outside it."""
    return Strays(*index.outside(window))
