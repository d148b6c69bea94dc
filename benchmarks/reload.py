"""Time to reload a day, by its number of events and by that of the whole table.

If each row of the day were compared with each row of the table, as dlt does for tables with a
primary key beside the merge key, the time would be quadratic: four times as long for twice the
events. If the whole table were rewritten, it would grow with the table. `python -m
benchmarks.reload` prints a table of each.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb

from mixpanel_sandbox import Sandbox
from mixpanel_source import backfill, open_pipeline

from .data import wide_project

DAYS = 10


def main() -> None:
    """Measure each size and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes", default="2500,5000,10000,20000", help="events per day, separated by commas"
    )
    parser.add_argument(
        "--copies",
        default="1,10,50",
        help="how many times ten days of the largest size the table has, separated by commas",
    )
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    print("| events a day | in the table | load again (s) | to the size before |")
    print("|---:|---:|---:|---:|")
    before: float | None = None
    for size in sizes:
        seconds = measure(size)
        ratio = f"{seconds / before:.2f}" if before else ""
        print(f"| {size:,} | {size * DAYS:,} | {seconds:.2f} | {ratio} |", flush=True)
        before = seconds
    print()
    print("| events a day | in the table | load again (s) |")
    print("|---:|---:|---:|")
    for copies in map(int, options.copies.split(",")):
        seconds = measure(sizes[-1], copies=copies)
        print(f"| {sizes[-1]:,} | {sizes[-1] * DAYS * copies:,} | {seconds:.2f} |", flush=True)


def measure(events_per_day: int, *, copies: int = 1) -> float:
    """Load ten days, then reload the last one twice; return the seconds the second reload took.

    Args:
        events_per_day: number of events.
        copies: how many times the table has the ten days: the others are copied to earlier days.
    """
    yesterday = datetime.now(timezone.utc).date() - timedelta(days=1)
    project = wide_project(days=DAYS, events_per_day=events_per_day, last_day=yesterday)
    with (
        tempfile.TemporaryDirectory() as directory,
        Sandbox(project, exports_per_hour=None, exports_per_second=None) as sandbox,
    ):
        file = str(Path(directory) / "reload.duckdb")
        os.environ["DLT_DATA_DIR"] = directory
        os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = file
        settings: dict[str, Any] = {
            "username": sandbox.username,
            "secret": sandbox.secret,
            "project_id": project.project_id,
            "base_url": sandbox.url,
            "export_base_url": sandbox.url,
            "requests_per_second": 1000,
            "requests_per_hour": 0,
        }
        pipeline = open_pipeline()
        backfill(f"{min(project.events)},{yesterday}", pipeline=pipeline, **settings)
        copy_days(file, copies - 1)
        for _ in range(2):
            started = time.perf_counter()
            backfill(f"{yesterday},{yesterday}", pipeline=pipeline, **settings)
        return time.perf_counter() - started


def copy_days(file: str, times: int) -> None:
    """Copy the ten days of a table to earlier days."""
    with duckdb.connect(file) as connection:
        connection.execute("SET memory_limit = '1GB'")
        connection.execute("CREATE TEMP TABLE days AS FROM mixpanel.export")
        for number in range(1, times + 1):
            connection.execute(
                "INSERT INTO mixpanel.export BY NAME SELECT * REPLACE "  # noqa: S608 - a number
                f"(event_date - {number * DAYS} AS event_date, event_key || {number} AS event_key) "
                "FROM days"
            )


if __name__ == "__main__":
    main()
