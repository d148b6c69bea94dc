"""Loads Mixpanel with dlt: copy this file and keep the function you need.

Settings and credentials are read from `.dlt/` in the working directory, or from environment
variables `SOURCES__MIXPANEL__...`. Run it with `python -m pipelines.mixpanel_pipeline`.
"""

from __future__ import annotations

import dlt

from mixpanel_source import backfill, mixpanel_source, open_pipeline, sync


def load_new() -> None:
    """Bring events and profiles up to date: the usual job of a scheduler."""
    result = sync()
    print(dict(result.rows))


def load_range(days: str = "2026-01-01,2026-01-31") -> None:
    """Load the events of a date range, independently of the syncs."""
    result = backfill(days)
    print(dict(result.rows))


def load_to_postgres() -> None:
    """Bring events, profiles and cohorts up to date in Postgres."""
    result = sync(("export", "engage", "cohorts"), pipeline=open_pipeline("postgres"))
    print(dict(result.rows))


def load_with_dlt() -> None:
    """Run the source like any other dlt source, in a single load package."""
    pipeline = dlt.pipeline("mixpanel", destination="duckdb", dataset_name="mixpanel_data")
    source = mixpanel_source(events=["Signed up", "Order Completed"]).with_resources("export")
    print(pipeline.run(source))


def load_profile_history() -> None:
    """Keep every version of a profile, with the times between which it was valid."""
    pipeline = dlt.pipeline("mixpanel", destination="duckdb", dataset_name="mixpanel_history")
    source = mixpanel_source().with_resources("engage")
    source.engage.apply_hints(
        write_disposition={
            "disposition": "merge",
            "strategy": "scd2",
            "row_version_column_name": "profile_key",
        }
    )
    print(pipeline.run(source))


if __name__ == "__main__":
    load_new()
