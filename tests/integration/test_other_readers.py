"""Polars, PySpark and DuckDB read the same events from every lake, without this package.

Spark has no jars for Delta, Iceberg and DuckLake here: it gets the files that the format's own
package for Python lists, which are plain Parquet.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mixpanel_source import open_pipeline
from tests.conformance.scenarios import FIRST, small_project
from tests.support.lab import Lab, open_lab
from tests.support.projects import YESTERDAY, add_event

AMOUNTS = ((FIRST, 1), (YESTERDAY, 2.5), (YESTERDAY, 2**53 + 1))
"""Day -> a number, of which no type of column holds all."""
SELECTED = (
    "CAST(event_date AS text), event, distinct_id, epoch_us(time), "
    "CAST(amount AS text), note, CAST(tags AS text)"
)
"""What is compared, in DuckDB's SQL."""
SPARK = (
    "CAST(event_date AS string)",
    "event",
    "distinct_id",
    "unix_micros(time)",
    "CAST(amount AS string)",
    "note",
    "tags",
)
"""The same in Spark's."""
JAVA = "PySpark needs Java 17 or newer, in Debian: apt install default-jre-headless"

Rows = list[tuple[Any, ...]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    *(
        pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} not installed")
        for name in ("deltalake", "duckdb_extension_ducklake", "polars", "pyiceberg", "pyspark")
    ),
    pytest.mark.skipif(shutil.which("java") is None, reason=JAVA),
]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """A Spark on one core, in UTC."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - only where the tests run

    builder: Any = SparkSession.builder
    session = (
        builder.master("local[1]")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.pyspark.python", sys.executable)
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a lake, whatever its format."""
    directory = tmp_path / "lake"
    for name in ("DELTA", "ICEBERG", "PARQUET", "DUCKLAKE__CREDENTIALS__STORAGE"):
        monkeypatch.setenv(f"DESTINATION__{name}__BUCKET_URL", str(directory))
    return directory


def files_of_delta(lake: Path, _lab: Lab) -> list[str]:
    """The files of the newest version of the table."""
    from deltalake import DeltaTable  # noqa: PLC0415 - only where the tests run

    return DeltaTable(str(lake / "mixpanel" / "export")).file_uris()


def files_of_iceberg(lake: Path, _lab: Lab) -> list[str]:
    """The files of the current snapshot of the table."""
    from pyiceberg.catalog.sql import SqlCatalog  # noqa: PLC0415 - only where the tests run

    catalog = SqlCatalog("mixpanel", uri=f"sqlite:///{lake}/catalog.db")
    tasks = list(catalog.load_table("mixpanel.export").scan().plan_files())
    catalog.close()
    assert not any(task.delete_files for task in tasks)
    return [task.file.file_path for task in tasks]


def files_of_ducklake(_lake: Path, lab: Lab) -> list[str]:
    """The files of the current snapshot of the table."""
    listing = (
        "SELECT data_file, delete_file FROM ducklake_list_files('ducklake', 'export', "
        "schema => 'mixpanel')"
    )
    with lab.pipeline.sql_client() as client:
        files = client.execute_sql(listing) or []
    assert not any(delete_file for _, delete_file in files)
    return [str(data_file) for data_file, _ in files]


def files_of_parquet(lake: Path, _lab: Lab) -> list[str]:
    """All files below the directory of the table."""
    return [str(path) for path in lake.glob("mixpanel/export/*/*.parquet")]


FILES: dict[str, Callable[[Path, Lab], list[str]]] = {
    "delta": files_of_delta,
    "ducklake": files_of_ducklake,
    "iceberg": files_of_iceberg,
    "parquet": files_of_parquet,
}
"""Destination -> lists the files with the events."""


def in_order(rows: Iterable[Iterable[Any]]) -> Rows:
    """The rows in an order that does not depend on the reader."""
    return sorted((tuple(row) for row in rows), key=repr)


def read_with_duckdb(files: list[str]) -> Rows:
    """All rows, as DuckDB reads them."""
    source = "read_parquet($1, hive_partitioning = true, union_by_name = true)"
    with duckdb.connect() as connection:
        return in_order(connection.execute(f"SELECT {SELECTED} FROM {source}", [files]).fetchall())


def read_with_polars(files: list[str]) -> Rows:
    """All rows, as Polars reads them."""
    import polars as pl  # noqa: PLC0415 - only where the tests run

    frame = (
        pl.scan_parquet(
            files, hive_partitioning=True, missing_columns="insert", extra_columns="ignore"
        )
        .select(
            pl.col("event_date").cast(pl.Date).cast(pl.String),
            "event",
            "distinct_id",
            pl.col("time").dt.epoch("us"),
            pl.col("amount").cast(pl.String),
            "note",
            pl.col("tags").cast(pl.String),  # bytes in the files of DuckLake, which mark it as JSON
        )
        .collect()
    )
    return in_order(frame.rows())


def read_with_spark(spark: Any, files: list[str]) -> Rows:
    """All rows, as Spark reads them."""
    directories = Path(files[0].removeprefix("file://")).parents
    table = next(directory for directory in directories if "=" not in directory.name)
    reader = spark.read.option("mergeSchema", "true").option("basePath", str(table))
    return in_order(reader.parquet(*files).selectExpr(*SPARK).collect())


@pytest.mark.parametrize("destination", FILES)
def test_all_readers_agree(destination: str, lake: Path, spark: Any) -> None:
    """The same counts and values by day, as they were served; after a change, too."""
    with open_lab(small_project(), open_pipeline(destination)) as lab:
        lab.overrides = {"anchor_date": FIRST}
        for number, (day, amount) in enumerate(AMOUNTS, start=10):
            tags = ["a", {"b": None}]
            add_event(lab.project, day, number, amount=amount, note="é\u2028'\"", tags=tags)
        assert lab.sync("export").failures == {}
        add_event(lab.project, YESTERDAY, 20, amount="text", note="", wide=1)
        lab.project.events[FIRST].pop(0)
        assert lab.sync("export").failures == {}
        files = FILES[destination](lake, lab)
        counts, served = lab.count_by_day(), lab.project.events
        query = f"SELECT {SELECTED} FROM export"
        if destination == "ducklake":
            with lab.pipeline.sql_client() as client:
                expected = in_order(client.execute_sql(query) or [])
        else:
            expected = read_with_duckdb(files)
    assert counts == {str(day): len(events) for day, events in served.items()}
    assert {day: sum(row[0] == day for row in expected) for day in counts} == counts
    assert read_with_duckdb(files) == expected
    assert read_with_polars(files) == expected
    assert read_with_spark(spark, files) == expected
