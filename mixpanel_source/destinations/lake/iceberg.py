"""Iceberg tables, with pyiceberg and a catalog in a SQL database."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.table import Table
from typing_extensions import override

from .arrow import PARTITION, DataFile, Days, conform, plain_schema
from .tables import LOAD_ID, CommitConflictError, LakeTables, Place

CATALOG = "mixpanel"
"""Name of the catalog, which a SQL database may hold beside others."""
CATALOG_FILE = "catalog.db"
_CHUNK_ROWS = 100_000
"""Rows of a data file; bounds memory."""
_KEPT = timedelta(days=7)
_TIDY_SNAPSHOTS = 60
"""Snapshots of a table, from which on those older than a week are removed."""
_BOUNDS = "write.metadata.metrics"
_PROPERTIES = {
    # the metadata outlives rows that are deleted, so it has no values that may be about persons
    f"{_BOUNDS}.default": "none",
    **{f"{_BOUNDS}.column.{name}": "full" for name in (PARTITION, "time", "fetched_at")},
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}
_EPOCH = date(1970, 1, 1)


class IcebergTables(LakeTables):
    """Tables of a dataset in Iceberg's format.

    Args:
        place: of the dataset.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._open: dict[str, Table] = {}

    @override
    def refresh(self) -> None:
        self._open.clear()

    @override
    def close(self) -> None:
        super().close()
        # closing a catalog that was never opened would open it
        if "_catalog" in vars(self):
            self._catalog.close()

    @override
    def names(self) -> list[str]:
        if not self._has_catalog:
            return []
        try:
            return sorted(name for _, name in self._catalog.list_tables(self._namespace))
        except NoSuchNamespaceError:
            return []

    @override
    def schema(self, name: str) -> pa.Schema | None:
        return None if self._find(name) is None else self._schema(name)

    @override
    def files(self, name: str) -> list[DataFile]:
        table = self._get(name)
        found = []
        for task in table.scan().plan_files():
            days = task.file.partition
            day = _EPOCH + timedelta(days=days[0]) if len(days) else None
            path = self._path_of(task.file.file_path)
            found.append(DataFile(path, day, task.file.file_size_in_bytes))
        return found

    @override
    def create(self, name: str, schema: pa.Schema) -> None:
        if self._find(name) is not None:
            raise FileExistsError(name)
        # what a table of that name left that was dropped while it was not tidied
        self.place.remove(name)
        self.place.create()
        self._catalog.create_namespace_if_not_exists(self._namespace)
        try:
            with self._catalog.create_table_transaction(
                (self._namespace, name),
                schema,
                location=f"{self.place.url}/{name}",
                properties=_PROPERTIES,
            ) as transaction:
                if PARTITION in schema.names:
                    with transaction.update_spec() as spec:
                        spec.add_identity(PARTITION)
        except TableAlreadyExistsError as error:
            raise FileExistsError(name) from error

    @override
    def add_columns(self, name: str, fields: Sequence[pa.Field]) -> None:
        with self._get(name).update_schema() as update:
            update.union_by_name(pa.schema(fields))
        self._open.pop(name)

    @override
    def write(
        self, name: str, rows: pa.RecordBatchReader, *, days: Days, load_id: str = ""
    ) -> None:
        properties = {LOAD_ID: load_id} if load_id else {}
        transaction = self._get(name).transaction()
        try:
            with warnings.catch_warnings():
                # there may be nothing to delete
                warnings.filterwarnings("ignore", message="Delete operation did not match")
                if days is None:
                    transaction.delete(AlwaysTrue(), snapshot_properties=properties)
                elif days:
                    listed = ", ".join(f"'{day}'" for day in days)
                    condition = f"{PARTITION} IN ({listed})"
                    transaction.delete(condition, snapshot_properties=properties)
            for chunk in _chunks(conform(rows, self._schema(name))):
                transaction.append(chunk, snapshot_properties=properties)
            transaction.commit_transaction()
        except CommitFailedException as error:
            raise CommitConflictError(str(error)) from error
        finally:
            self._open.pop(name, None)

    @override
    def last_load_id(self, name: str) -> str:
        snapshot = self._get(name).current_snapshot()
        if snapshot is None or snapshot.summary is None:
            return ""
        return str(snapshot.summary.additional_properties.get(LOAD_ID, ""))

    @override
    def drop(self, name: str) -> None:
        self._catalog.drop_table((self._namespace, name))
        super().drop(name)

    @override
    def recover(self) -> None:
        pass

    @override
    def tidy(self, name: str) -> None:
        if len(self._get(name).snapshots()) >= _TIDY_SNAPSHOTS:
            self._expire(name, datetime.now(timezone.utc) - _KEPT)

    @override
    def purge(self, name: str) -> None:
        self._expire(name, datetime.now(timezone.utc))

    def _expire(self, name: str, before: datetime) -> None:
        """Remove the snapshots before an instant, except the current one, and their files."""
        table = self._get(name)
        earlier = {path for path, at in self._all_files(table) if at < before}
        table.maintenance.expire_snapshots().older_than(before.replace(tzinfo=None)).commit()
        self._open.pop(name)
        kept = {path for path, _ in self._all_files(self._get(name))}
        for path in earlier - kept:
            self.place.filesystem.rm_file(path)

    def _all_files(self, table: Table) -> Iterator[tuple[str, datetime]]:
        """Yields the data files of all snapshots, with the time of the snapshot that added them."""
        for snapshot in table.snapshots():
            at = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, timezone.utc)
            for manifest in snapshot.manifests(table.io):
                for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                    yield self._path_of(entry.data_file.file_path), at

    @property
    def _namespace(self) -> str:
        return self.place.path.rpartition("/")[2]

    @property
    def _has_catalog(self) -> bool:
        return bool(self.place.catalog_uri) or Path(self._catalog_file).exists()

    @property
    def _catalog_file(self) -> str:
        return f"{self.place.path.rpartition('/')[0]}/{CATALOG_FILE}"

    @cached_property
    def _catalog(self) -> SqlCatalog:
        return SqlCatalog(
            CATALOG,
            uri=self.place.catalog_uri or f"sqlite:///{self._catalog_file}",
            warehouse=self.place.url.rpartition("/")[0],
            **self.place.iceberg_options,
        )

    def _schema(self, name: str) -> pa.Schema:
        return plain_schema(self._get(name).schema().as_arrow())

    def _find(self, name: str) -> Table | None:
        if name not in self._open:
            if not self._has_catalog:
                return None
            try:
                self._open[name] = self._catalog.load_table((self._namespace, name))
            except NoSuchTableError:
                return None
        return self._open[name]

    def _get(self, name: str) -> Table:
        table = self._find(name)
        if table is None:
            raise FileNotFoundError(f"{self.place.url}/{name}")
        return table

    def _path_of(self, location: str) -> str:
        """A path as the file system names it."""
        return location.removeprefix("file://").partition("://")[2] or location.removeprefix(
            "file://"
        )


def _chunks(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Yields the rows in tables of a size that one data file has."""
    held: list[Any] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= _CHUNK_ROWS:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)
