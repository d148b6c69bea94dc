"""What the SQL client of a lake needs of a table format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.dataset as ds
from fsspec import AbstractFileSystem
from pyarrow.fs import FileSystem

from .arrow import DataFile, Days, arrow_filesystem, scan

LOAD_ID = "mixpanel_source.load_id"
"""Property of a commit: the load package that it belongs to."""
MAX_FILES = 32
"""Files of a table without partitions, from which on all of its rows are written anew as one."""
ROW_GROUP_ROWS = 50_000
"""Rows of a row group; each day that is being written holds one in memory."""


class CommitConflictError(Exception):
    """Another writer has committed to the same table, so the change has to be computed again."""


@dataclass(frozen=True)
class Place:
    """The directory of a dataset, which has a directory for each table."""

    url: str
    """Such as `s3://bucket/lake/mixpanel`; a path if it is local."""
    filesystem: AbstractFileSystem
    path: str
    """As the file system names it."""
    is_local: bool
    storage_options: dict[str, str] = field(default_factory=dict)
    """Credentials for libraries that use Rust's object_store."""
    iceberg_options: dict[str, str] = field(default_factory=dict)
    """Credentials for pyiceberg."""
    catalog_uri: str = ""
    """SQL database with the catalog of Iceberg tables; a file beside them if empty."""

    @cached_property
    def arrow(self) -> FileSystem:
        """The file system for Arrow."""
        return arrow_filesystem(self.filesystem, is_local=self.is_local)

    def directories(self) -> list[str]:
        """The names of the directories in it; empty if it does not exist."""
        self.filesystem.invalidate_cache()
        try:
            entries = self.filesystem.ls(self.path, detail=True)
        except FileNotFoundError:
            return []
        names = (
            entry["name"].rstrip("/").rpartition("/")[2]
            for entry in entries
            if entry["type"] == "directory"
        )
        return sorted(name for name in names if name and not name.startswith("."))

    def exists(self, name: str = "") -> bool:
        """Whether the directory of a table, or that of the dataset, is there."""
        self.filesystem.invalidate_cache()
        return bool(self.filesystem.exists(f"{self.path}/{name}".rstrip("/")))

    def create(self) -> None:
        """Create the directory; object storage has none without objects in it."""
        self.filesystem.makedirs(self.path, exist_ok=True)

    def remove(self, name: str = "") -> None:
        """Remove the directory of a table, or that of the dataset."""
        if self.exists(name):
            self.filesystem.rm(f"{self.path}/{name}".rstrip("/"), recursive=True)


class LakeTables(ABC):
    """The tables of a dataset in one format.

    Whatever changes a table is one commit: a reader, and a process that starts after a crash, sees
    all of it or nothing. Not for several threads at once.

    Args:
        place: of the dataset.
    """

    def __init__(self, place: Place) -> None:
        self.place = place

    @abstractmethod
    def refresh(self) -> None:
        """Forget what is known, because others may have written meanwhile."""

    def close(self) -> None:
        """Forget what is known, and close connections; the next use opens them again."""
        self.refresh()

    def names(self) -> list[str]:
        """The directories that may be tables."""
        return self.place.directories()

    @abstractmethod
    def schema(self, name: str) -> pa.Schema | None:
        """The columns of a table; None if it does not exist."""

    @abstractmethod
    def files(self, name: str) -> list[DataFile]:
        """The files with the current rows of a table."""

    @abstractmethod
    def create(self, name: str, schema: pa.Schema) -> None:
        """Create a table without rows.

        Raises:
            FileExistsError: it exists.
        """

    @abstractmethod
    def add_columns(self, name: str, fields: Sequence[pa.Field]) -> None:
        """Add columns, which are null in the rows there are."""

    @abstractmethod
    def write(
        self,
        name: str,
        rows: pa.RecordBatchReader,
        *,
        days: Days,
        load_id: str = "",
    ) -> None:
        """Delete rows and insert others, in one commit.

        Args:
            name: of the table.
            rows: to insert, with some or all columns of the table.
            days: whose rows are deleted, and no row is of another day; all rows if None, no row if
                empty.
            load_id: of the load package, which the commit names.

        Raises:
            CommitConflictError: another writer was faster; nothing has changed.
        """

    @abstractmethod
    def last_load_id(self, name: str) -> str:
        """The load package of the last commit; empty if it has none."""

    @abstractmethod
    def purge(self, name: str) -> None:
        """Remove the files that hold rows of earlier versions only."""

    @abstractmethod
    def tidy(self, name: str) -> None:
        """Remove what a reader has not needed for a week, now and then."""

    @abstractmethod
    def recover(self) -> None:
        """Remove what a killed process left, before a job begins; nothing if readers ignore it."""

    def drop(self, name: str) -> None:
        """Remove a table with its files."""
        self.place.remove(name)
        self.refresh()

    def scan(self, name: str, *, days: Days = None) -> ds.Dataset:
        """The rows of a table.

        Args:
            name: of a table that exists.
            days: whose rows are wanted, of a partitioned table; all rows if None.
        """
        files = self.files(name)
        if days is not None:
            wanted = {*days}
            files = [file for file in files if file.day in wanted]
        schema = self.schema(name)
        if schema is None:
            raise FileNotFoundError(f"{self.place.url}/{name}")
        return scan(files, schema, self.place.arrow)
