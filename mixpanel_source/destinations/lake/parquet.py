"""Plain Parquet files, a directory for each day or table, with a manifest of those that count.

New files are written beside the old ones; then the manifest is replaced, which is the commit; then
the old files are removed. A kill in between leaves files that are not in the manifest, which the
next job removes before anything else. So a reader that lists the directory finds each row once
whenever no job is under way.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from typing_extensions import override

from ...files import replace_durably
from .arrow import PARTITION, DataFile, Days, conform
from .tables import ROW_GROUP_ROWS, LakeTables, Place

MANIFEST = "_manifest.json"
_PREFIX = "mixpanel-"
"""Of the names of our files: others in the same directory are never touched."""


@dataclass(frozen=True)
class _Manifest:
    """What a table consists of."""

    schema: pa.Schema
    files: Sequence[DataFile] = ()
    """With paths relative to the directory of the table."""
    load_id: str = field(default="")

    def to_json(self) -> bytes:
        """The content of the file."""
        files = [[file.path, file.day and str(file.day), file.size] for file in self.files]
        schema = base64.b64encode(self.schema.serialize().to_pybytes()).decode()
        return json.dumps({"schema": schema, "files": files, "load_id": self.load_id}).encode()

    @classmethod
    def of_json(cls, content: bytes) -> _Manifest:
        """Parse the content of the file."""
        read = json.loads(content)
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(read["schema"])))
        files = [
            DataFile(path, date.fromisoformat(day) if day else None, size)
            for path, day, size in read["files"]
        ]
        return cls(schema, files, read["load_id"])


class ParquetTables(LakeTables):
    """Tables of a dataset as Parquet files."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._manifests: dict[str, _Manifest] = {}

    @override
    def refresh(self) -> None:
        self._manifests.clear()

    @override
    def schema(self, name: str) -> pa.Schema | None:
        manifest = self._find(name)
        return None if manifest is None else manifest.schema

    @override
    def files(self, name: str) -> list[DataFile]:
        root = self._path(name)
        return [file._replace(path=f"{root}/{file.path}") for file in self._get(name).files]

    @override
    def create(self, name: str, schema: pa.Schema) -> None:
        if self._find(name) is not None:
            raise FileExistsError(self._path(name))
        self._remove_strays(name, ())
        manifest = _Manifest(schema)
        if PARTITION not in schema.names:
            # readers that list the files find the columns of a table without rows
            manifest = replace(manifest, files=self._write_files(name, manifest, iter(())))
        self._commit(name, manifest)

    @override
    def add_columns(self, name: str, fields: Sequence[pa.Field]) -> None:
        manifest = self._get(name)
        self._commit(name, replace(manifest, schema=pa.schema([*manifest.schema, *fields])))

    @override
    def write(
        self, name: str, rows: pa.RecordBatchReader, *, days: Days, load_id: str = ""
    ) -> None:
        manifest = self._get(name)
        new = self._write_files(name, manifest, conform(rows, manifest.schema), rows.schema)
        gone = {*(days or ())}
        kept = [file for file in manifest.files if days is not None and file.day not in gone]
        self._commit(name, replace(manifest, files=[*kept, *new], load_id=load_id))
        self._remove([file for file in manifest.files if file not in kept], name)

    @override
    def last_load_id(self, name: str) -> str:
        return self._get(name).load_id

    @override
    def tidy(self, name: str) -> None:
        pass

    @override
    def purge(self, name: str) -> None:
        pass

    @override
    def recover(self) -> None:
        # what is remembered may be older than the last load, whose files would be removed
        self.refresh()
        for name in self.place.directories():
            manifest = self._find(name)
            self._remove_strays(name, manifest.files if manifest else ())

    def _write_files(
        self,
        name: str,
        manifest: _Manifest,
        batches: Iterator[pa.RecordBatch] | pa.RecordBatchReader,
        written: pa.Schema | None = None,
    ) -> list[DataFile]:
        """Write rows to new files, of a partitioned table one for each day."""
        columns = written.names if written is not None else manifest.schema.names
        schema = pa.schema([manifest.schema.field(c) for c in columns if c != PARTITION])
        with ExitStack() as stack:
            writers: dict[date | None, tuple[str, pq.ParquetWriter]] = {}

            def writer_of(day: date | None) -> pq.ParquetWriter:
                if day not in writers:
                    path = f"{_PREFIX}{uuid4().hex}.parquet"
                    if day is not None:
                        path = f"{PARTITION}={day}/{path}"
                    writers[day] = path, stack.enter_context(self._open(name, path, schema))
                return writers[day][1]

            if PARTITION not in manifest.schema.names:
                writer_of(None)
            for batch in batches:
                for day, part in _by_day(batch):
                    writer_of(day).write_batch(part, row_group_size=ROW_GROUP_ROWS)
        return [DataFile(path, day, self._finish(name, path)) for day, (path, _) in writers.items()]

    def _open(self, name: str, path: str, schema: pa.Schema) -> pq.ParquetWriter:
        whole = f"{self._path(name)}/{path}"
        if self.place.is_local:
            Path(whole).parent.mkdir(parents=True, exist_ok=True)
        return pq.ParquetWriter(whole, schema, filesystem=self.place.arrow, compression="zstd")

    def _finish(self, name: str, path: str) -> int:
        """Make a written file durable; returns its size."""
        whole = f"{self._path(name)}/{path}"
        if self.place.is_local:
            descriptor = os.open(whole, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return int(self.place.arrow.get_file_info(whole).size)

    def _commit(self, name: str, manifest: _Manifest) -> None:
        path = f"{self._path(name)}/{MANIFEST}"
        self._manifests.pop(name, None)
        if self.place.is_local:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            replace_durably(Path(path), manifest.to_json())
        else:
            self.place.filesystem.pipe_file(path, manifest.to_json())

    def _remove_strays(self, name: str, files: Sequence[DataFile]) -> None:
        root = self._path(name)
        counted = {f"{root}/{file.path}" for file in files}
        self.place.filesystem.invalidate_cache()
        for path in self.place.filesystem.find(root) if self.place.exists(name) else ():
            is_ours = path.rpartition("/")[2].startswith(_PREFIX)
            if is_ours and path not in counted:
                self._remove([DataFile(path.removeprefix(f"{root}/"))], name)

    def _remove(self, files: Sequence[DataFile], name: str) -> None:
        root = self._path(name)
        for file in files:
            self.place.filesystem.rm_file(f"{root}/{file.path}")
        if self.place.is_local:
            for parent in {Path(f"{root}/{file.path}").parent for file in files} - {Path(root)}:
                if not any(parent.iterdir()):
                    parent.rmdir()

    def _find(self, name: str) -> _Manifest | None:
        if name not in self._manifests:
            try:
                content = self.place.filesystem.cat_file(f"{self._path(name)}/{MANIFEST}")
            except FileNotFoundError:
                return None
            self._manifests[name] = _Manifest.of_json(content)
        return self._manifests[name]

    def _get(self, name: str) -> _Manifest:
        manifest = self._find(name)
        if manifest is None:
            raise FileNotFoundError(self._path(name))
        return manifest

    def _path(self, name: str) -> str:
        return f"{self.place.path}/{name}"


def _by_day(batch: pa.RecordBatch) -> Iterator[tuple[date | None, pa.RecordBatch]]:
    """Yields the rows of each day of a batch, without the column."""
    if PARTITION not in batch.schema.names:
        yield None, batch
        return
    days: Any = batch[PARTITION]
    rest = batch.select([column for column in batch.schema.names if column != PARTITION])
    for day in pc.unique(days):
        yield day.as_py(), rest.filter(pc.equal(days, day))
