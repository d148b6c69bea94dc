"""Measurements of single runs, and their summary per contender and size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Record:
    """The measurements of a run."""

    contender: str
    events: int
    """Size of the data: events, or profiles for contenders that load profiles."""
    run: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    rows: int | None
    """Rows after the run; None if they cannot be counted."""
    expected: int
    exit_code: int
    stderr: str
    """The end of its stderr if the row count is wrong."""
    stored_bytes: int | None = None
    """Bytes that the rows take up after the run; None if they are not measured."""

    @property
    def correct(self) -> bool:
        """Whether it succeeded with the expected number of rows."""
        return self.exit_code == 0 and self.rows == self.expected


@dataclass(frozen=True)
class Figures:
    """The summary of all runs of a contender on one size."""

    contender: str
    events: int
    runs: int
    """Successful runs."""
    seconds: float
    """Median of the successful runs, like the other figures."""
    fastest: float
    slowest: float
    cpu_seconds: float
    peak_bytes: float
    stored_bytes: float | None
    """None if they are not measured."""
    correct: bool
    """Whether every run was correct."""
    remark: str
    """What went wrong in the first run that was not correct."""

    @property
    def speed(self) -> float:
        """Events per second."""
        return self.events / self.seconds if self.seconds else 0.0


def summarize(records: Iterable[Record]) -> list[Figures]:
    """Summarize records per contender and size, ordered by size and median time."""
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        groups.setdefault((record.contender, record.events), []).append(record)
    figures = [_figures(group) for group in groups.values()]
    return sorted(figures, key=lambda row: (row.events, row.runs == 0, row.seconds))


def _figures(records: Sequence[Record]) -> Figures:
    succeeded = [record for record in records if record.exit_code == 0]
    seconds = [record.seconds for record in succeeded] or [0.0]
    stored = [record.stored_bytes for record in succeeded if record.stored_bytes is not None]
    wrong = next((record for record in records if not record.correct), None)
    return Figures(
        records[0].contender,
        records[0].events,
        len(succeeded),
        median(seconds),
        min(seconds),
        max(seconds),
        median([record.cpu_seconds for record in succeeded] or [0.0]),
        median([record.peak_bytes for record in succeeded] or [0]),
        median(stored) if stored else None,
        wrong is None,
        _remark(wrong) if wrong else "",
    )


def _remark(record: Record) -> str:
    if record.exit_code:
        last = record.stderr.splitlines()[-1:] or ["no output"]
        return f"failed ({record.exit_code}): {last[0][:120]}".replace("|", "/")
    rows = "unknown" if record.rows is None else f"{record.rows:,}"
    return f"{rows} instead of {record.expected:,}"
