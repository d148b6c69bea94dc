"""Files of a load package: no row and no value is lost, whatever columns the tables have."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source import constants
from mixpanel_source.tables.item_files import FileWriter, FinishedFile

COLUMNS = {"a": pa.int64(), "b": pa.string(), "c": pa.float64(), "d": pa.string()}
NO_COLUMNS = pa.schema([])


def write_all(directory: Path, schema: pa.Schema, tables: list[pa.Table]) -> list[FinishedFile]:
    """Write tables, and return all files."""
    writer = FileWriter(directory, schema)
    files = [file for table in tables for file in writer.write(table)]
    return files + writer.finish()


def read_all(files: list[FinishedFile]) -> pa.Table:
    """The rows of all files, with the columns of all."""
    tables = [pq.read_table(file.path) for file in files]
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table with some of the columns, in any order."""
    names = draw(st.lists(st.sampled_from([*COLUMNS]), min_size=1, unique=True))
    numbers = draw(st.lists(st.integers(0, 9), min_size=1, max_size=5))
    return pa.table({name: pa.array(numbers).cast(COLUMNS[name]) for name in names})


@given(st.lists(tables(), max_size=6))
def test_every_value_is_written(written: list[pa.Table]) -> None:
    """The files hold the rows in order, null where a table had no such column."""
    with TemporaryDirectory() as directory:
        files = write_all(Path(directory), NO_COLUMNS, written)
        found = read_all(files)
    expected = pa.concat_tables(written, promote_options="default") if written else pa.table({})
    assert found.to_pylist() == [
        dict(row) for row in expected.select(found.column_names).to_pylist()
    ]
    assert sum(file.rows for file in files) == len(expected)
    assert {*found.column_names} == {*expected.column_names}


def test_columns_have_the_order_of_the_table(tmp_path: Path) -> None:
    """Stored columns come first, in their order; then new ones as they arrive."""
    stored = pa.schema([pa.field("z", pa.int64()), pa.field("a", pa.int64(), nullable=False)])
    [first, second] = write_all(
        tmp_path, stored, [pa.table({"a": [1], "c": [2]}), pa.table({"b": [3], "a": [4]})]
    )
    assert first.schema.names == ["z", "a", "c"]
    assert second.schema.names == ["z", "a", "c", "b"]
    assert not first.schema.field("a").nullable
    assert pq.read_table(second.path).to_pylist() == [{"z": None, "a": 4, "c": None, "b": 3}]


def test_type_of_the_rows_counts(tmp_path: Path) -> None:
    """A column that is stored with another type of integer or text has that of the rows."""
    stored = pa.schema([pa.field("a", pa.int32())])
    [file] = write_all(tmp_path, stored, [pa.table({"a": pa.array([1 << 40])})])
    assert pq.read_table(file.path).to_pylist() == [{"a": 1 << 40}]


def test_files_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is complete once it has `FILE_ROWS` rows."""
    monkeypatch.setattr(constants, "FILE_ROWS", 10)
    files = write_all(tmp_path, NO_COLUMNS, [pa.table({"a": [*range(4)]})] * 7)
    assert [file.rows for file in files] == [12, 12, 4]
    assert len({file.path for file in files}) == 3
