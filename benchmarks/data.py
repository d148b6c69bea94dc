"""Projects of any size, on disk as a server would send them.

`python -m benchmarks.data --events 1000000 --days 10 DIR` writes a gzip file for each day to
`DIR/export/`, and with `--profiles N` pages of profiles to `DIR/engage/`. `DIR/manifest.json` says
what is there; made again with the same numbers, what is there stays.
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

from .generator import make_events, make_profiles

FORMAT = 1
"""Raised whenever the data changes, so that no older data is taken for it."""
GZIP_LEVEL = 6
PAGE_ROWS = 1_000
PAGES_A_TASK = 20


@dataclass(frozen=True)
class DayFile:
    """What is in the file of a day."""

    day: str
    lines: int
    rows: int
    """Lines, those that are there twice counted once: what has to be in the table."""
    bytes: int
    gzip_bytes: int


@dataclass(frozen=True)
class Manifest:
    """What is in a directory of data."""

    format: int = FORMAT
    days: list[DayFile] = field(default_factory=list)
    profiles: int = 0

    @property
    def rows(self) -> int:
        """Events, each counted once."""
        return sum(day.rows for day in self.days)

    @property
    def lines(self) -> int:
        """Events as sent."""
        return sum(day.lines for day in self.days)

    @property
    def bytes(self) -> int:
        """Size of the lines."""
        return sum(day.bytes for day in self.days)

    @property
    def range(self) -> str:
        """First and last day, as `--range` takes them."""
        return f"{self.days[0].day},{self.days[-1].day}"


def main() -> None:
    """Make the data."""
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
    """A day well over that stays the same for a while, so that data is seldom made anew."""
    return datetime.now(timezone.utc).date().replace(day=1) - timedelta(days=1)


def days_until(last_day: date, days: int) -> list[date]:
    """The `days` days up to `last_day`."""
    return [last_day - timedelta(days=back) for back in reversed(range(days))]


def make_data(directory: Path, *, events: int, days: list[date], profiles: int = 0) -> Manifest:
    """Write the data to `directory`, unless it is there.

    Args:
        directory: made if need be; holds data of one size.
        events: in all, those that are sent twice counted once.
        days: over which they are spread evenly.
        profiles: in all.
    """
    found = read_manifest(directory)
    wanted = spread(events, days)
    if found and {day.day: day.rows for day in found.days} == wanted and found.profiles == profiles:
        return found
    for name in ("export", "engage"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    starts = range(0, profiles, PAGE_ROWS * PAGES_A_TASK)
    counts = [min(PAGE_ROWS * PAGES_A_TASK, profiles - start) for start in starts]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        written = pool.map(_write_day, [directory] * len(wanted), wanted, wanted.values())
        list(pool.map(_write_pages, [directory] * len(counts), starts, counts))
        manifest = Manifest(days=list(written), profiles=profiles)
    text = json.dumps(asdict(manifest), indent=1)
    (directory / "manifest.json").write_text(text + "\n")
    return manifest


def read_manifest(directory: Path) -> Manifest | None:
    """What is in `directory`, if it is data of this format."""
    try:
        stored = json.loads((directory / "manifest.json").read_text())
    except (OSError, ValueError):
        return None
    if stored["format"] != FORMAT:
        return None
    return Manifest(days=[DayFile(**day) for day in stored["days"]], profiles=stored["profiles"])


def spread(events: int, days: list[date]) -> dict[str, int]:
    """Day -> its share of the events."""
    share, rest = divmod(events, len(days)) if days else (0, 0)
    return {str(day): share + (number < rest) for number, day in enumerate(days)}


def day_path(directory: Path, day: str) -> Path:
    """The file of a day."""
    return directory / "export" / f"{day}.jsonl.gz"


def page_path(directory: Path, page: int) -> Path:
    """The file of a page of profiles: a gzip member of the elements of `results`."""
    return directory / "engage" / f"{page:06d}.json.gz"


def wide_project(*, days: int, events_a_day: int, last_day: date, seed: int = 1) -> Project:
    """The same kind of events in memory, for the sandbox.

    Args:
        days: how many days there are, up to `last_day`.
        events_a_day: events of each.
        last_day: the newest day (UTC).
        seed: the same seed gives the same project.
    """
    return Project(
        events={
            day: make_events(_midnight(day), events_a_day, seed=f"{seed} {day}")
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
    for start in range(0, profiles, PAGE_ROWS):
        page = gzip.compress(b",".join(rows[start : start + PAGE_ROWS]), GZIP_LEVEL)
        page_path(directory, (first + start) // PAGE_ROWS).write_bytes(page)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp())


if __name__ == "__main__":
    main()
