"""The destinations that the scenarios run on: one small adapter each.

A new destination gets a row in `ADAPTERS`; then `make conformance` rewrites the table of what was
tested where, and how it went.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Settings = Mapping[str, str]


def _no_settings(_directory: Path) -> Settings:
    return {}


@dataclass(frozen=True)
class Adapter:
    """A destination in an empty place."""

    name: str
    """Of the adapter, and of the column in the table."""
    destination: str
    """As `--destination` takes it."""
    settings: Callable[[Path], Settings] = _no_settings
    """Directory of the test -> environment variables that find an empty place below it."""
    fixture: str = ""
    """Fixture that starts the server it needs, and puts its credentials into the environment."""
    packages: tuple[str, ...] = ()
    """Packages without which the scenarios are skipped."""
    quick: frozenset[str] = frozenset()
    """Scenarios that `make test` runs too; the others are for `make test-all`."""


def _lake(destination: str) -> Callable[[Path], Settings]:
    """A lake in a local directory."""
    variable = f"DESTINATION__{destination.upper()}__BUCKET_URL"
    return lambda directory: {variable: str(directory / "lake")}


def _catalog(directory: Path) -> Settings:
    """A catalog in a local file, for tables that are elsewhere."""
    return {"DESTINATION__ICEBERG__CATALOG_URI": f"sqlite:///{directory}/catalog.db"}


S3_PACKAGES = ("moto", "s3fs")

ADAPTERS = (
    Adapter("DuckDB", "duckdb", quick=frozenset({"changed days"})),
    Adapter("Postgres", "postgres", fixture="postgres"),
    Adapter(
        "DuckLake",
        "ducklake",
        packages=("duckdb_extension_ducklake",),
        quick=frozenset({"changed days"}),
    ),
    Adapter(
        "DuckLake on S3",
        "ducklake",
        fixture="bucket",
        packages=("duckdb_extension_ducklake", *S3_PACKAGES),
    ),
    Adapter(
        "Delta",
        "delta",
        settings=_lake("delta"),
        packages=("deltalake",),
        quick=frozenset({"changed days", "history", "forget"}),
    ),
    Adapter("Delta on S3", "delta", fixture="bucket", packages=("deltalake", *S3_PACKAGES)),
    Adapter("Iceberg", "iceberg", settings=_lake("iceberg"), packages=("pyiceberg", "sqlalchemy")),
    Adapter(
        "Iceberg on S3",
        "iceberg",
        settings=_catalog,
        fixture="bucket",
        packages=("pyiceberg", "sqlalchemy", *S3_PACKAGES),
    ),
    Adapter("Parquet", "parquet", settings=_lake("parquet"), quick=frozenset({"changed days"})),
    Adapter("Parquet on S3", "parquet", fixture="bucket", packages=S3_PACKAGES),
)
