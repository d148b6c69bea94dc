"""Loads Mixpanel: keep the function you need. Settings and credentials are in `.dlt/`."""

from __future__ import annotations

import dlt
from mixpanel import mixpanel_source

from mixpanel_source import sync


def load_new() -> None:
    """Bring events and profiles up to date: the usual job of a scheduler."""
    pipeline = dlt.pipeline("mixpanel", destination="duckdb", dataset_name="mixpanel_data")
    result = sync(pipeline=pipeline)
    print(dict(result.rows))


def load_with_dlt() -> None:
    """Run the source like any other dlt source, in a single load package."""
    pipeline = dlt.pipeline("mixpanel", destination="duckdb", dataset_name="mixpanel_data")
    print(pipeline.run(mixpanel_source().with_resources("export")))


if __name__ == "__main__":
    load_new()
