"""The destinations that we know something special of; the one place that chooses among them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import dlt
from dlt.common.destination.reference import AnyDestination

from ..paths import LoadTarget
from .base import Destination
from .duckdb.destination import DuckDb, MotherDuck
from .ducklake.destination import DuckLake
from .files import Files
from .lake.destination import Delta, Iceberg, Parquet
from .lake.factory import delta
from .postgres.destination import Postgres
from .sqlalchemy import SqlAlchemy
from .warehouses import BigQuery, ClickHouse, Databricks

_BUILT_IN = "dlt.destinations."
"""How dlt prefixes the names of its own destinations."""
_OWN = f"{delta.__module__}."
"""How dlt prefixes the names of ours."""

DESTINATIONS: Mapping[str, type[Destination]] = {
    "bigquery": BigQuery,
    "clickhouse": ClickHouse,
    "databricks": Databricks,
    "delta": Delta,
    "duckdb": DuckDb,
    "ducklake": DuckLake,
    "filesystem": Files,
    "iceberg": Iceberg,
    "motherduck": MotherDuck,
    "parquet": Parquet,
    "postgres": Postgres,
    "sqlalchemy": SqlAlchemy,
}
"""dlt's name of a destination -> what we know of it."""


def find_destination(name: str) -> type[Destination]:
    """What is known of a destination by its name; `Destination` itself if nothing special is."""
    return DESTINATIONS.get(name.removeprefix(_BUILT_IN).removeprefix(_OWN), Destination)


def destination_of(pipeline: dlt.Pipeline) -> Destination:
    """The destination of a pipeline, whatever name and configuration the user gave it."""
    return _destination_of(pipeline, pipeline.destination, pipeline.dataset_name)


@lru_cache(maxsize=8)
def _destination_of(
    pipeline: dlt.Pipeline, destination: AnyDestination, _dataset: str | None
) -> Destination:
    # dlt takes tens of milliseconds to resolve the configuration of a client, so each is kept
    return find_destination(destination.destination_type)(pipeline)


def target_of(pipeline: dlt.Pipeline) -> LoadTarget:
    """What a pipeline loads and where to, which finds its files on this machine."""
    if getattr(pipeline, "destination", None) is None:  # the pipeline extracts only
        return LoadTarget("", pipeline.dataset_name or "", pipeline.pipeline_name)
    destination = destination_of(pipeline)
    return LoadTarget(destination.location, destination.dataset_name, pipeline.pipeline_name)
