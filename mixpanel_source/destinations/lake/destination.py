"""Lakes, as the rest of the package sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from dlt.common.destination.reference import TDestinationReferenceArg

from ...errors import MixpanelError
from ..base import Destination, TableFiles
from ..exclusive import ExclusiveAccess
from ..file_lock import lock_file
from .factory import LakeConfiguration, delta, iceberg, parquet
from .lease import Leases
from .tables import LakeTables, Place


class Lake(Destination):
    """Tables in an open format, in a directory or a bucket, replaced in one commit each.

    DuckDB in memory runs SQL on them.
    """

    limits = None
    reads_our_files = True
    deletes_rows = True
    table_type = "VIEW"
    json_member = "json_extract_string({column}, '$.\"' || {name} || '\"')"

    @property
    def restores_schema(self) -> bool:
        """A load does."""
        return True

    @property
    def exists(self) -> bool:
        """Whether the directory of the dataset exists."""
        client: Any = self._client
        return bool(client.sql_client.has_dataset())

    def connection_error(self, error: BaseException) -> MixpanelError:
        """Name the place."""
        return MixpanelError(
            f"destination {self._name} cannot be reached at {self._config} "
            f"({type(error).__name__}). Check the address, the credentials and that it is running."
        )

    def table_files(self, client: Any, table: str) -> TableFiles:  # noqa: ANN401 - any SQL client
        """What the newest commit of the table lists."""
        files = client.tables.files(table)
        return TableFiles(len(files), sum(file.size for file in files))

    def acquire(self) -> ExclusiveAccess:
        """Lock a file beside the directory of the dataset; in object storage, create a lease."""
        tables: LakeTables = self._client.sql_client.tables
        access = _acquire(tables.place, self.dataset_name)
        try:
            tables.recover()
        except BaseException:
            access.release()
            raise
        return access

    @property
    def _config(self) -> LakeConfiguration:
        config: LakeConfiguration = self._client.config
        return config


def _acquire(place: Place, dataset: str) -> ExclusiveAccess:
    beside = f"{place.path.removesuffix(dataset)}.{dataset}.lock"
    if not place.is_local:
        return Leases(place.filesystem, f"{beside}-", subject=place.url).acquire()
    path = Path(beside)
    path.parent.mkdir(parents=True, exist_ok=True)
    return lock_file(
        path,
        subject=f"Another job that loads into {place.url}",
        remedy="Move the dataset to a directory on a local disk.",
    )


class Delta(Lake):
    """Delta tables."""

    extra: ClassVar[str] = "mixpanel-source[delta]"
    shares_files = True

    @classmethod
    def build(cls, name: str) -> TDestinationReferenceArg:  # noqa: ARG003 - there is only one
        """Delta tables with our own client."""
        return delta()


class Iceberg(Lake):
    """Iceberg tables."""

    extra: ClassVar[str] = "mixpanel-source[iceberg]"
    shares_files = True

    @classmethod
    def build(cls, name: str) -> TDestinationReferenceArg:  # noqa: ARG003 - there is only one
        """Iceberg tables with our own client."""
        return iceberg()


class Parquet(Lake):
    """Parquet files."""

    extra: ClassVar[str] = "mixpanel-source"

    @classmethod
    def build(cls, name: str) -> TDestinationReferenceArg:  # noqa: ARG003 - there is only one
        """Parquet files with our own client."""
        return parquet()
