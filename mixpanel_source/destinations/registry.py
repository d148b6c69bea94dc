"""The destinations that we know something special of; the one place that chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module

import dlt
from dlt.common.destination.reference import AnyDestination

from ..paths import LoadTarget
from .base import Destination

_BUILT_IN = "dlt.destinations."
"""How dlt prefixes the names of its own destinations."""
_OWN = f"{__package__}.lake.factory."
"""How dlt prefixes the names of ours."""

DESTINATIONS: Mapping[str, str] = {
    "bigquery": ".warehouses BigQuery",
    "clickhouse": ".warehouses ClickHouse",
    "databricks": ".warehouses Databricks",
    "delta": ".lake.destination Delta",
    "duckdb": ".duckdb.destination DuckDb",
    "ducklake": ".ducklake.destination DuckLake",
    "filesystem": ".files Files",
    "iceberg": ".lake.destination Iceberg",
    "motherduck": ".duckdb.destination MotherDuck",
    "parquet": ".lake.destination Parquet",
    "postgres": ".postgres.destination Postgres",
    "sqlalchemy": ".sqlalchemy SqlAlchemy",
}
"""dlt's name of a destination -> module and class with what we know of it.

Imported when needed: importing all takes as long as everything else that `status` imports.
"""


def find_destination(name: str) -> type[Destination]:
    """What is known of a destination by its name; `Destination` itself if nothing special is."""
    place = DESTINATIONS.get(name.removeprefix(_BUILT_IN).removeprefix(_OWN))
    if place is None:
        return Destination
    module, class_name = place.split()
    found: type[Destination] = getattr(import_module(module, __package__), class_name)
    return found


def find_names(has: Callable[[type[Destination]], bool]) -> list[str]:
    """The names of the destinations with an ability, for messages."""
    return [name for name in DESTINATIONS if has(find_destination(name))]


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
