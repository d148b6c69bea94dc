"""The obvious way to use dlt: requests, a dict per event, merge by key, defaults for the rest.

`python -m benchmarks.plain_dlt URL FIRST,LAST` loads those days into the DuckDB file that is set in
the environment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import dlt
import requests

TIMEOUT_SECONDS = 300


def main() -> None:
    """Load the days."""
    url, days = sys.argv[1:]
    pipeline = dlt.pipeline("mixpanel", destination="duckdb", dataset_name="mixpanel")
    pipeline.run(export(url, *days.split(",")))


@dlt.resource(write_disposition="merge", primary_key=["event", "distinct_id", "time", "$insert_id"])
def export(url: str, first: str, last: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a date range."""
    response = requests.get(
        f"{url}/api/2.0/export",
        params={"from_date": first, "to_date": last},
        stream=True,
        timeout=TIMEOUT_SECONDS,
    )
    response.raise_for_status()
    for line in response.iter_lines():
        event = json.loads(line)
        yield {"event": event["event"], **event["properties"]}


if __name__ == "__main__":
    main()
