"""Delta tables, with delta-rs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from typing_extensions import override

from .arrow import PARTITION, DataFile, Days, conform, plain_schema
from .tables import LOAD_ID, ROW_GROUP_ROWS, CommitConflictError, LakeTables, Place

_COMMIT_RETRIES = 20
_TIDY_VERSIONS = 20
"""Commits between two searches for files that no version of the last week has."""
_STATISTICS = "delta.dataSkippingStatsColumns"
_COLUMNS_WITH_STATISTICS = ("time", "fetched_at")
"""Columns whose minimum and maximum the log has. Of others these may be about persons, and the log
outlives rows that are deleted."""


class DeltaTables(LakeTables):
    """Tables of a dataset in Delta Lake's format."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._open: dict[str, DeltaTable] = {}
        self._stale: dict[str, DeltaTable] = {}

    @override
    def refresh(self) -> None:
        self._stale |= self._open
        self._open.clear()

    @override
    def schema(self, name: str) -> pa.Schema | None:
        return None if self._find(name) is None else self._schema(name)

    @override
    def files(self, name: str) -> list[DataFile]:
        table = self._get(name)
        actions = pa.table(table.get_add_actions(flatten=True))
        paths, sizes = (actions[column].to_pylist() for column in ("path", "size_bytes"))
        days = (
            actions[f"partition.{PARTITION}"].to_pylist()
            if f"partition.{PARTITION}" in actions.column_names
            else [None] * len(paths)
        )
        root = f"{self.place.path}/{name}"
        return [
            DataFile(f"{root}/{path}", day, size)
            for path, day, size in zip(paths, days, sizes, strict=True)
        ]

    @override
    def create(self, name: str, schema: pa.Schema) -> None:
        statistics = [column for column in _COLUMNS_WITH_STATISTICS if column in schema.names]
        try:
            DeltaTable.create(
                self._url(name),
                schema,
                mode="error",
                partition_by=[PARTITION] if PARTITION in schema.names else None,
                configuration={_STATISTICS: ",".join(statistics)}
                if statistics
                else {"delta.dataSkippingNumIndexedCols": "0"},
                storage_options=self.place.storage_options,
            )
        except DeltaError as error:
            if self._find(name) is None:
                raise
            raise FileExistsError(self._url(name)) from error

    @override
    def add_columns(self, name: str, fields: Sequence[pa.Field]) -> None:
        self._get(name).alter.add_columns([Field.from_arrow(field) for field in fields])
        self._open.pop(name)

    @override
    def write(
        self,
        name: str,
        rows: pa.RecordBatchReader,
        *,
        days: Days,
        load_id: str = "",
    ) -> None:
        mode: Any = "overwrite" if days is None or days else "append"
        predicate = None
        if days:
            listed = ", ".join(f"'{day}'" for day in days)
            predicate = f"{PARTITION} IN ({listed})"
        try:
            write_deltalake(
                self._get(name),
                conform(rows, self._schema(name)),
                mode=mode,
                predicate=predicate,
                schema_mode="merge",
                writer_properties=WriterProperties(
                    max_row_group_size=ROW_GROUP_ROWS, compression="ZSTD", compression_level=1
                ),
                commit_properties=CommitProperties(
                    custom_metadata={LOAD_ID: load_id} if load_id else None,
                    max_commit_retries=_COMMIT_RETRIES,
                ),
            )
        except CommitFailedError as error:
            raise CommitConflictError(str(error)) from error
        finally:
            self._open.pop(name, None)

    @override
    def drop(self, name: str) -> None:
        super().drop(name)
        # a new table of that name begins with other versions
        self._stale.pop(name, None)

    @override
    def last_load_id(self, name: str) -> str:
        history = self._get(name).history(1)
        return str(history[0].get(LOAD_ID, "")) if history else ""

    @override
    def tidy(self, name: str) -> None:
        table = self._get(name)
        if table.version() % _TIDY_VERSIONS == 0:
            table.vacuum(dry_run=False)

    @override
    def recover(self) -> None:
        pass

    @override
    def purge(self, name: str) -> None:
        self._get(name).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)

    def _schema(self, name: str) -> pa.Schema:
        return plain_schema(pa.schema(self._get(name).schema()))

    def _find(self, name: str) -> DeltaTable | None:
        if name not in self._open:
            try:
                self._open[name] = self._load(name)
            except TableNotFoundError:
                return None
        return self._open[name]

    def _load(self, name: str) -> DeltaTable:
        known = self._stale.pop(name, None)
        if known is not None and self.place.exists(name):
            known.update_incremental()
            return known
        return DeltaTable(self._url(name), storage_options=self.place.storage_options)

    def _get(self, name: str) -> DeltaTable:
        table = self._find(name)
        if table is None:
            raise FileNotFoundError(self._url(name))
        return table

    def _url(self, name: str) -> str:
        return f"{self.place.url}/{name}"
