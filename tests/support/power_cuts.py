"""Cuts the power of a sync at random instants, and compares the result with an undisturbed sync.

The cut is simulated: the sync is killed, then files that it wrote are damaged as a file system may
leave them that had not yet written everything to the disk. The database is left alone, because it
flushes what it commits. `make torture` runs this; see `python -m tests.support.power_cuts --help`.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.random_kills import (
    LONGEST_LIFE,
    Place,
    assert_same,
    completes_within,
    kill,
    open_database,
    serve,
    stop,
    time_sync,
)

logger = logging.getLogger(__name__)

DAMAGED_SHARE = 0.5
"""Share of the files written by a sync that its power cut damages."""


def cut_power_at_random(
    directory: Path, destination: str, url: str, *, cuts: int, days: int, seed: int
) -> Counter[str]:
    """Cut the power of syncs, and let each complete afterwards.

    Args:
        directory: Working directory.
        destination: `duckdb` or `postgres`.
        url: URL of the database; for DuckDB a file, which is created if missing.
        cuts: Number of power cuts, each in a dataset of its own.
        days: Number of days to load, each with a request of its own.
        seed: Seed of the instants and the damage.

    Returns:
        Number of cuts by what the sync was doing.
    """
    rng = random.Random(seed)  # noqa: S311 - instants, not secrets
    steps: Counter[str] = Counter()
    with serve(days) as start:
        undisturbed = Place(directory / "undisturbed", destination, url, "undisturbed")
        longest_s = 2 * LONGEST_LIFE * time_sync(undisturbed, start)
        expected = undisturbed.read_tables()
        while steps.total() < cuts:
            dataset = f"round_{steps.total()}"
            place = Place(directory / dataset, destination, url, dataset)
            began = time.time()
            process = start(place)
            if completes_within(process, rng.uniform(0, longest_s)):
                raise RuntimeError("a sync completed before its power was cut: load more days")
            step = stop(process, place)
            kill(process)
            damaged = damage_files(place.directory / "data", since=began, rng=rng)
            assert start(place).wait() == 0, f"seed {seed}, {dataset}: {step}, {damaged}"
            tables = place.read_tables()
            # a window that has to be fetched again is logged again
            tables["_mixpanel_loads"] = Counter(dict.fromkeys(tables["_mixpanel_loads"], 1))
            assert_same(expected, tables)
            steps[step] += 1
            logger.info("%d power cuts; %s: %d files damaged", steps.total(), step, len(damaged))
    return steps


def damage_files(directory: Path, *, since: float, rng: random.Random) -> list[str]:
    """Damage some of the files that were written since a time; returns their names."""
    written = [
        path
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.stat().st_mtime >= since
    ]
    damaged = [path for path in written if rng.random() < DAMAGED_SHARE]
    for path in damaged:
        content = path.read_bytes()
        at = rng.randint(0, len(content))
        lost = len(content) - at
        left = rng.choice([b"", content[:at], content[:at] + bytes(lost), bytes(len(content))])
        path.write_bytes(left)
    return [str(path.relative_to(directory)) for path in damaged]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", choices=["duckdb", "postgres"])
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--days", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as directory, open_database(options.destination) as url:
        steps = cut_power_at_random(
            Path(directory),
            options.destination,
            url or f"{directory}/mixpanel.duckdb",
            cuts=options.cuts,
            days=options.days,
            seed=options.seed,
        )
    counts = ", ".join(f"{step} {count}" for step, count in steps.most_common())
    sys.stdout.write(
        f"{options.destination}: after each of {steps.total()} power cuts, a sync of "
        f"{options.days} days gave the expected tables.\nCuts by step: {counts}.\n"
    )


if __name__ == "__main__":
    main()
