"""Data sets of any size, on disk in the form the server sends them.

`python -m benchmarks.data --events 1000000 --days 10 DIR` writes a gzip file per day to
`DIR/export/`, and with `--profiles N` pages of profiles to `DIR/engage/`, and the same
profiles, of which 1 % have changed, to `DIR/engage-changed/`. `DIR/manifest.json` describes them;
an existing data set with the same numbers is reused.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from mixpanel_sandbox import Project

from .generator import change_profiles, make_events, make_profiles

FORMAT = 2
"""Incremented whenever the generated data changes, which invalidates existing data sets."""
GZIP_LEVEL = 6
PAGE_ROWS = 1_000
PAGES_PER_TASK = 20


@dataclass(frozen=True)
class DayFile:
    """The contents of the file of a day."""

    day: str
    lines: int
    rows: int
    """Lines without duplicates: the rows that a correct table has."""
    bytes: int
    """Uncompressed size."""
    gzip_bytes: int


@dataclass(frozen=True)
class Manifest:
    """The contents of a data set."""

    format: int = FORMAT
    days: list[DayFile] = field(default_factory=list)
    profiles: int = 0

    @property
    def rows(self) -> int:
        """Events without duplicates."""
        return sum(day.rows for day in self.days)

    @property
    def lines(self) -> int:
        """Events including duplicates."""
        return sum(day.lines for day in self.days)

    @property
    def bytes(self) -> int:
        """Uncompressed size of the events."""
        return sum(day.bytes for day in self.days)

    def matches(self, rows: dict[str, int], profiles: int) -> bool:
        """Return whether the data set has these rows per day and this number of profiles."""
        return {day.day: day.rows for day in self.days} == rows and self.profiles == profiles

    @property
    def range(self) -> str:
        """First and last day, in the format of `--range`."""
        return f"{self.days[0].day},{self.days[-1].day}"


def main() -> None:
    """Generate a data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--last-day", type=date.fromisoformat, default=last_day_of_last_month())
    parser.add_argument("--profiles", type=int, default=0)
    options = parser.parse_args()
    manifest = make_data(
        options.directory,
        events=options.events,
        days=days_until(options.last_day, options.days),
        profiles=options.profiles,
    )
    print(
        f"{manifest.lines:,} lines, {manifest.rows:,} events, {manifest.bytes:,} bytes, "
        f"{manifest.profiles:,} profiles in {options.directory}"
    )


def last_day_of_last_month() -> date:
    """Return a default last day, which changes once a month, so that data sets can be reused."""
    return datetime.now(timezone.utc).date().replace(day=1) - timedelta(days=1)


def days_until(last_day: date, days: int) -> list[date]:
    """Return the `days` days up to and including `last_day`."""
    return [last_day - timedelta(days=back) for back in reversed(range(days))]


def make_data(directory: Path, *, events: int, days: list[date], profiles: int = 0) -> Manifest:
    """Write a data set, unless the directory already has it.

    Args:
        directory: Created if necessary.
        events: Number of events without duplicates.
        days: The days over which they are spread evenly.
        profiles: Number of profiles.
    """
    existing = read_manifest(directory)
    rows = spread(events, days)
    if existing and existing.matches(rows, profiles):
        return existing
    for name in ("export", "engage", "engage-changed"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    starts = range(0, profiles, PAGE_ROWS * PAGES_PER_TASK)
    counts = [min(PAGE_ROWS * PAGES_PER_TASK, profiles - start) for start in starts]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        written = pool.map(_write_day, [directory] * len(rows), rows, rows.values())
        list(pool.map(_write_pages, [directory] * len(counts), starts, counts))
        manifest = Manifest(days=list(written), profiles=profiles)
    text = json.dumps(asdict(manifest), indent=1)
    (directory / "manifest.json").write_text(text + "\n")
    return manifest


def read_manifest(directory: Path) -> Manifest | None:
    """Read the manifest of a directory; None if there is none of the current format."""
    try:
        stored = json.loads((directory / "manifest.json").read_text())
    except (OSError, ValueError):
        return None
    if stored["format"] != FORMAT:
        return None
    return Manifest(days=[DayFile(**day) for day in stored["days"]], profiles=stored["profiles"])


def spread(events: int, days: list[date]) -> dict[str, int]:
    """Return the number of events per day."""
    share, rest = divmod(events, len(days)) if days else (0, 0)
    return {str(day): share + (number < rest) for number, day in enumerate(days)}


def day_path(directory: Path, day: str) -> Path:
    """Return the path of the file of a day."""
    return directory / "export" / f"{day}.jsonl.gz"


def page_path(directory: Path, page: int, *, changed: bool = False) -> Path:
    """Return the path of a page of profiles: the elements of `results`, as a gzip member.

    Args:
        directory: Of the data set.
        page: Its number, from 0.
        changed: Whether 1 % of the profiles have changed.
    """
    return directory / ("engage-changed" if changed else "engage") / f"{page:06d}.json.gz"


def wide_project(*, days: int, events_per_day: int, last_day: date, seed: int = 1) -> Project:
    """Generate the same kind of events in memory, for the sandbox.

    Args:
        days: Number of days, up to and including `last_day`.
        events_per_day: Events per day without duplicates.
        last_day: UTC date of the newest events.
        seed: Random seed.
    """
    return Project(
        events={
            day: make_events(_midnight(day), events_per_day, seed=f"{seed} {day}")
            for day in days_until(last_day, days)
        }
    )


def _write_day(directory: Path, day: str, events: int) -> DayFile:
    lines = make_events(_midnight(date.fromisoformat(day)), events, seed=day)
    path = day_path(directory, day)
    size = 0
    with gzip.open(path, "wb", compresslevel=GZIP_LEVEL) as file:
        for start in range(0, len(lines), PAGE_ROWS):
            size += file.write(b"\n".join(lines[start : start + PAGE_ROWS]) + b"\n")
    return DayFile(day, len(lines), events, size, path.stat().st_size)


def _write_pages(directory: Path, first: int, profiles: int) -> None:
    rows = make_profiles(first, profiles, seed=f"profiles {first}")
    for changed, served in ((False, rows), (True, change_profiles(rows))):
        for start in range(0, profiles, PAGE_ROWS):
            page = gzip.compress(b",".join(served[start : start + PAGE_ROWS]), GZIP_LEVEL)
            path = page_path(directory, (first + start) // PAGE_ROWS, changed=changed)
            path.write_bytes(page)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp())


if __name__ == "__main__":
    main()
