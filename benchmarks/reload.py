"""Seconds to load a day again, against the number of its events.

The day is one of ten in the table. Were each of its rows compared with each row of the table, as
dlt does when a table has a primary key beside its merge key, the time would grow with the square:
four times for each doubling. Run `python -m benchmarks.reload`; it prints a table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from mixpanel_sandbox import Sandbox
from mixpanel_source import backfill, open_pipeline

from .data import wide_project

DAYS = 10


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="2500,5000,10000,20000", help="events a day")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    print("| events a day | in the table | load again (s) | to the size before |")
    print("|---:|---:|---:|---:|")
    before: float | None = None
    for size in sizes:
        seconds = measure(size)
        ratio = f"{seconds / before:.2f}" if before else ""
        print(f"| {size:,} | {size * DAYS:,} | {seconds:.2f} | {ratio} |", flush=True)
        before = seconds


def measure(events_a_day: int) -> float:
    """Load ten days, then the last one again; returns the seconds of the latter."""
    yesterday = datetime.now(timezone.utc).date() - timedelta(days=1)
    project = wide_project(days=DAYS, events_a_day=events_a_day, last_day=yesterday)
    with (
        tempfile.TemporaryDirectory() as directory,
        Sandbox(project, exports_per_hour=None, exports_per_second=None) as sandbox,
    ):
        os.environ["DLT_DATA_DIR"] = directory
        os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = str(Path(directory) / "reload.duckdb")
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
        began = time.perf_counter()
        backfill(f"{yesterday},{yesterday}", pipeline=pipeline, **settings)
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
