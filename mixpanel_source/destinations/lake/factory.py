"""The destinations of dlt for lakes, and where their tables are."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from dlt.common.configuration import configspec, resolve_type
from dlt.common.configuration.specs import CredentialsConfiguration
from dlt.common.configuration.specs.mixins import WithObjectStoreRsCredentials, WithPyicebergConfig
from dlt.common.destination import Destination as DltDestination
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.reference import DestinationReference
from dlt.common.exceptions import MissingDependencyException
from dlt.common.storages import fsspec_from_config
from dlt.destinations.impl.duckdb.factory import duckdb
from dlt.destinations.impl.filesystem.configuration import FilesystemDestinationClientConfiguration

from ...errors import ConfigError
from .tables import LakeTables, Place

if TYPE_CHECKING:
    from .client import LakeClient

_TABLES: Final = {
    "delta": ".delta DeltaTables",
    "iceberg": ".iceberg IcebergTables",
    "parquet": ".parquet ParquetTables",
}
"""Format -> module and class, imported when needed: the packages of most formats are extras."""


@configspec
class LakeConfiguration(FilesystemDestinationClientConfiguration):
    """Where a lake is, and the credentials for it, as dlt's filesystem has them."""

    destination_type: Final[str] = dataclasses.field(  # type: ignore[misc]
        default="lake", init=False, repr=False, compare=False
    )
    lake_format: str = ""
    """Of the tables; the destination sets it."""
    catalog_uri: str | None = None
    """SQL database with the catalog of Iceberg tables, such as
    `postgresql+psycopg2://user:password@host/db`; in a local lake by default `catalog.db`."""

    @resolve_type("credentials")
    def resolve_credentials_type(self) -> type[CredentialsConfiguration]:
        """The type of credentials for the storage; dlt does not inherit it."""
        return super().resolve_credentials_type()


class _Lake(DltDestination[LakeConfiguration, "LakeClient"]):
    """A lake: tables in an open format, in a directory or a bucket."""

    spec = LakeConfiguration
    lake_format: ClassVar[str]

    def __init__(
        self,
        bucket_url: str | None = None,
        credentials: Any = None,  # noqa: ANN401 - each kind of storage has credentials of its own
        destination_name: str | None = None,
        environment: str | None = None,
        **options: Any,  # noqa: ANN401 - dlt checks them
    ) -> None:
        """Configure a lake.

        Args:
            bucket_url: directory, or address such as `s3://bucket/lake`.
            credentials: of the storage, as for dlt's filesystem.
            destination_name: under which dlt looks for settings.
            environment: of dlt.
            options: all other settings of dlt's filesystem.
        """
        super().__init__(
            bucket_url=bucket_url,
            credentials=credentials,
            destination_name=destination_name,
            environment=environment,
            lake_format=self.lake_format,
            **options,
        )

    @property
    def client_class(self) -> type[LakeClient]:
        """The client that creates the load jobs."""
        from .client import LakeClient  # noqa: PLC0415 - imports DuckDB

        return LakeClient

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        # what is true of DuckDB, which runs the SQL, except for what is written
        caps = duckdb()._raw_capabilities()
        caps.preferred_loader_file_format = "parquet"
        caps.supported_loader_file_formats = ["parquet"]
        caps.supports_ddl_transactions = False
        caps.supports_multiple_statements = False
        caps.supported_merge_strategies = ["delete-insert", "scd2"]
        caps.supported_replace_strategies = ["truncate-and-insert"]
        return caps


class delta(_Lake):  # noqa: N801 - dlt's destinations have the names that users give
    """Delta tables."""

    lake_format = "delta"


class iceberg(_Lake):  # noqa: N801 - as above
    """Iceberg tables."""

    lake_format = "iceberg"


class parquet(_Lake):  # noqa: N801 - as above
    """Parquet files."""

    lake_format = "parquet"


for _factory in (delta, iceberg, parquet):
    DestinationReference.register(_factory, _factory.lake_format)


def open_tables(config: LakeConfiguration, dataset: str) -> LakeTables:
    """The tables of a dataset.

    Args:
        config: where the lake is, resolved.
        dataset: its name.

    Raises:
        MissingDependencyException: the package for the format is not installed.
    """
    module, _, name = _TABLES[config.lake_format].partition(" ")
    try:
        kind: type[LakeTables] = getattr(import_module(module, __package__), name)
    except ImportError as error:
        raise MissingDependencyException(config.lake_format, [str(error.name)]) from error
    return kind(_place_of(config, dataset))


def _place_of(config: LakeConfiguration, dataset: str) -> Place:
    filesystem, root = fsspec_from_config(config)
    path = f"{root.rstrip('/')}/{dataset}"
    if config.is_local_filesystem:
        return Place(path, filesystem, path, is_local=True, catalog_uri=config.catalog_uri or "")
    if config.lake_format == "iceberg" and not config.catalog_uri:
        raise ConfigError(
            "Iceberg tables in a bucket need a catalog in a SQL database: set catalog_uri of "
            "[destination.iceberg], or DESTINATION__ICEBERG__CATALOG_URI, to its address."
        )
    credentials: Any = config.credentials
    options = (
        credentials.to_object_store_rs_credentials()
        if isinstance(credentials, WithObjectStoreRsCredentials)
        else {}
    )
    scheme = urlsplit(config.bucket_url).scheme
    return Place(
        f"{scheme}://{path}",
        filesystem,
        path,
        is_local=False,
        iceberg_options=credentials.to_pyiceberg_fileio_config()
        if isinstance(credentials, WithPyicebergConfig)
        else {},
        catalog_uri=config.catalog_uri or "",
        storage_options={**options, **(config.deltalake_storage_options or {})},
    )
