"""What was measured, and the figures it comes to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Record:
    """What one run of one contender came to."""

    contender: str
    events: int
    """Size of the data: events, or profiles for contenders that load those."""
    run: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    rows: int | None
    """Rows that were there afterwards; None if that cannot be said."""
    expected: int
    exit_code: int
    said: str
    """The end of what it wrote to stderr, if something is wrong."""

    @property
    def right(self) -> bool:
        """Whether it ended well, with the rows that there have to be."""
        return self.exit_code == 0 and self.rows == self.expected


@dataclass(frozen=True)
class Figures:
    """What the runs of one contender on one size come to."""

    contender: str
    events: int
    runs: int
    seconds: float
    """Median of the runs that ended well, as are the others."""
    fastest: float
    slowest: float
    cpu_seconds: float
    peak_bytes: float
    right: bool
    """Whether each run ended with the rows that there have to be."""
    remark: str
    """What was wrong, if anything."""

    @property
    def speed(self) -> float:
        """Events a second."""
        return self.events / self.seconds if self.seconds else 0.0


def summarize(records: Iterable[Record]) -> list[Figures]:
    """The figures of each contender and size, smallest size and fastest contender first."""
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        groups.setdefault((record.contender, record.events), []).append(record)
    figures = [_figures(group) for group in groups.values()]
    return sorted(figures, key=lambda own: (own.events, own.runs == 0, own.seconds))


def _figures(records: Sequence[Record]) -> Figures:
    done = [record for record in records if record.exit_code == 0]
    seconds = [record.seconds for record in done] or [0.0]
    wrong = next((record for record in records if not record.right), None)
    return Figures(
        records[0].contender,
        records[0].events,
        len(done),
        median(seconds),
        min(seconds),
        max(seconds),
        median([record.cpu_seconds for record in done] or [0.0]),
        median([record.peak_bytes for record in done] or [0]),
        wrong is None,
        _remark(wrong) if wrong else "",
    )


def _remark(record: Record) -> str:
    if record.exit_code:
        last = record.said.splitlines()[-1:] or ["nothing said"]
        return f"failed ({record.exit_code}): {last[0][:120]}".replace("|", "/")
    found = "unknown" if record.rows is None else f"{record.rows:,}"
    return f"{found}, and not {record.expected:,}"
