"""Time to reload a day, by its number of events.

The table has ten days. If each row of the day were compared with each row of the table, as dlt does
for tables with a primary key beside the merge key, the time would be quadratic: four times as long
for twice the events. `python -m benchmarks.reload` prints a table.
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
    parser.add_argument(
        "--sizes", default="2500,5000,10000,20000", help="events per day, separated by commas"
    )
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    print("| events a day | in the table | load again (s) | to the size before |")
    print("|---:|---:|---:|---:|")
    before: float | None = None
    for size in sizes:
        seconds = measure(size)
        ratio = f"{seconds / before:.2f}" if before else ""
        print(f"| {size:,} | {size * DAYS:,} | {seconds:.2f} | {ratio} |", flush=True)
        before = seconds


def measure(events_per_day: int) -> float:
    """Load ten days, then reload the last one; return the seconds the reload took."""
    yesterday = datetime.now(timezone.utc).date() - timedelta(days=1)
    project = wide_project(days=DAYS, events_per_day=events_per_day, last_day=yesterday)
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
        started = time.perf_counter()
        backfill(f"{yesterday},{yesterday}", pipeline=pipeline, **settings)
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
