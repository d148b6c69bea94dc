"""Parts of a day that is too big for one request.

Pure. The export API selects whole days; within a day, `where` selects by time. A day is cut in
half, a half in half again, and so on, so parts of any depth fit together. Names of events would not
do: Mixpanel's list of names may lack some, no documented expression selects the rest, and a day may
have few others than those of one name.

The parts are complete by their construction, without counting. A part ends where the next one
begins, with the same condition: one has `not (C)`, the other `C`. By the rules of the language each
is either true or false, since `not` of an undefined value is true. So each event is in exactly one
part, whatever its `time` is, and even if Mixpanel reads the moments of the conditions in another
time zone, which only makes the parts unequal. Duplicates may be in two parts, so they are found in
the day as a whole, and so an event that moves between two requests is not loaded twice.

Sources: https://developer.mixpanel.com/reference/segmentation-expressions (`not`, types) and
https://docs.mixpanel.com/docs/export-methods (`event["$time"] >= datetime("...")`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from ...windows import DAY

MAX_DEPTH = 7
"""The smallest parts have 11 minutes and 15 seconds; a day has 128 of them."""


class DayPart(NamedTuple):
    """A part of a day: one of `1 << depth` of equal length."""

    day: date
    depth: int = 0
    number: int = 0
    """From 0, the first in the day."""

    @property
    def is_whole(self) -> bool:
        """Whether it is the day."""
        return self.depth == 0

    @property
    def halves(self) -> Sequence[DayPart]:
        """The part cut in two; empty if it is one of the smallest."""
        if self.depth == MAX_DEPTH:
            return ()
        deeper, number = self.depth + 1, 2 * self.number
        return DayPart(self.day, deeper, number), DayPart(self.day, deeper, number + 1)

    @property
    def condition(self) -> str:
        """The expression that selects its events; empty for a whole day."""
        conditions = []
        if self.number > 0:
            conditions.append(_since(self._moment(self.number)))
        if self.number + 1 < (1 << self.depth):
            conditions.append(f"not ({_since(self._moment(self.number + 1))})")
        return " and ".join(conditions)

    def __str__(self) -> str:
        """From when to when, for people; empty for a whole day."""
        if self.is_whole:
            return ""
        first, end = self._moment(self.number), self._moment(self.number + 1)
        return f"{first:%H:%M:%S} to {end - timedelta(seconds=1):%H:%M:%S}"

    @property
    def key(self) -> str:
        """Tells it from the other parts of the day."""
        return f"{self.depth}.{self.number}"

    def _moment(self, number: int) -> datetime:
        return datetime.combine(self.day, time()) + DAY * number / (1 << self.depth)


def _since(moment: datetime) -> str:
    return f'event["$time"] >= datetime("{moment.isoformat()}")'


class DaySplitter:
    """Decides into how many parts a day is cut before it is requested.

    It expects a day to have as many events as those before, and learns from days that had to be cut
    because Mixpanel did not send them whole.
    """

    def __init__(self, max_rows: int) -> None:
        """Start without having seen a day.

        Args:
            max_rows: maximum events of a request.
        """
        self._max_rows = max_rows
        self._rows = 0.0

    @property
    def expected_rows(self) -> int:
        """Events that a day is expected to have."""
        return int(self._rows)

    @property
    def depth(self) -> int:
        """The depth of the parts that the next day is cut into; 0 if it is requested whole."""
        parts = -(-self.expected_rows // self._max_rows)
        return min(MAX_DEPTH, max(0, parts - 1).bit_length())

    def note(self, rows: int) -> None:
        """Learn from a day of `rows` events, duplicates included."""
        # up at once, down by halves, as `WindowSizer` does
        self._rows = max(float(rows), (self._rows + rows) / 2)

    def note_split(self, largest: int) -> None:
        """Learn that parts had to be cut until the largest that arrived had `largest` events."""
        self._max_rows = max(1, min(self._max_rows, largest))
