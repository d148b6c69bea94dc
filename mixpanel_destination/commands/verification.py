"""What a verification found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..runs import Send

SHOWN = 20
"""Maximum differences of a kind that are listed by key."""


@dataclass(frozen=True)
class Difference:
    """A row that is not as expected."""

    kind: str
    """missing, different or extra."""
    day: str
    event: str
    insert_id: str
    """Of an event; id of a profile."""


@dataclass(frozen=True)
class DayCount:
    """The rows of one day, duplicates not counted; of profiles, all of them."""

    day: str
    expected: int
    found: int
    """Of those expected."""
    different: int
    extra: int
    """In the project, but sent by no run that this machine knows."""


@dataclass
class Verification:
    """What a verification found."""

    send: Send
    days: list[DayCount] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    """Those that are listed, at most `SHOWN` of each kind."""
    is_deep: bool = False
    unchecked: int = 0
    """Rows that cannot be compared: identity events, and updates that do not set."""
    _listed: Counter[str] = field(default_factory=Counter)

    def list(self, difference: Difference) -> None:
        """List a difference, unless there are enough of its kind."""
        self._listed[difference.kind] += 1
        if self._listed[difference.kind] <= SHOWN:
            self.differences.append(difference)

    @property
    def missing(self) -> int:
        """Rows that were accepted and are not served."""
        return sum(day.expected - day.found for day in self.days)

    @property
    def different(self) -> int:
        """Rows with another content."""
        return sum(day.different for day in self.days)

    @property
    def extra(self) -> int:
        """Rows of these days that no known run sent."""
        return sum(day.extra for day in self.days)

    @property
    def unaccounted(self) -> int:
        """Staged rows of which it is not known what became of them."""
        send = self.send
        return send.staged - send.accepted - send.refused - send.skipped

    @property
    def exit_code(self) -> int:
        """0 if everything is as expected, 1 if not."""
        found = self.missing or self.different or self.extra or self.unaccounted
        return 1 if found else 0
