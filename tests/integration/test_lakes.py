"""What is particular to lakes: their files, commits, locks and settings."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import mixpanel_source
from mixpanel_source import cli, open_pipeline
from mixpanel_source.destinations.lake import jobs, writes
from mixpanel_source.destinations.lake.tables import LOAD_ID, CommitConflictError
from mixpanel_source.destinations.registry import destination_of
from mixpanel_source.errors import BusyError, ConfigError
from tests.conformance.scenarios import FIRST, small_project
from tests.support.lab import Lab, open_lab
from tests.support.projects import EVENTS_PER_DAY, YESTERDAY, add_event
from tests.support.settings import set_environment
from tests.support.slow import slow_except

deltalake = pytest.importorskip("deltalake")
delta = pytest.importorskip("mixpanel_source.destinations.lake.delta")

FORMATS = ("delta", "iceberg", "parquet")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for a lake, which does not exist yet."""
    directory = tmp_path / "lake"
    for name in FORMATS:
        monkeypatch.setenv(f"DESTINATION__{name.upper()}__BUCKET_URL", str(directory))
    return directory


@pytest.fixture
def delta_lab(lake: Path) -> Iterator[Lab]:
    """Two days of a small project, to be loaded into Delta tables."""
    assert not lake.exists()
    with open_lab(small_project(), open_pipeline("delta")) as lab:
        lab.overrides = {"anchor_date": FIRST}
        yield lab


@contextmanager
def open_connections() -> Iterator[list[Any]]:
    """Collect the connections that SQLAlchemy opens, without those that it closes again."""
    from sqlalchemy import Pool, event  # noqa: PLC0415 - only where pyiceberg is installed

    connections: list[Any] = []
    changes = {
        "connect": lambda connection, _record: connections.append(connection),
        "close": lambda connection, _record: connections.remove(connection),
    }
    for name, change in changes.items():
        event.listen(Pool, name, change)
    yield connections
    for name, change in changes.items():
        event.remove(Pool, name, change)


def test_delta_tables_are_read_without_us(delta_lab: Lab, lake: Path) -> None:
    """delta-rs and DuckDB report the same rows by day, and dlt's own dataset reads all tables."""
    assert delta_lab.sync().failures == {}
    table = deltalake.DeltaTable(str(lake / "mixpanel" / "export"))
    assert table.metadata().partition_columns == ["event_date"]
    rows = table.to_pyarrow_dataset().to_table()
    assert len(rows) == 2 * EVENTS_PER_DAY
    assert rows.schema.field("time").type == pa.timestamp("us", "UTC")
    with duckdb.connect() as connection:
        connection.register("export", rows)
        query = "SELECT event_date, count(*) FROM export GROUP BY ALL ORDER BY ALL"
        assert connection.execute(query).fetchall() == [(FIRST, 3), (YESTERDAY, 3)]
    dataset = delta_lab.pipeline.dataset()
    assert len(dataset.export.fetchall()) == 2 * EVENTS_PER_DAY
    assert dataset("SELECT count(*) FROM engage").fetchall() == [(5,)]


def count_by_day(lake: Path) -> dict[str, int]:
    """The rows of each day in all files below the directory of `export`."""
    with duckdb.connect() as connection:
        files = f"{lake}/mixpanel/export/*/*.parquet"
        rows = connection.execute(
            "SELECT CAST(event_date AS text), count(*) FROM read_parquet($1, "
            "hive_partitioning = true, union_by_name = true) GROUP BY ALL",
            [files],
        ).fetchall()
    return dict(rows)


def test_files_are_read_without_us(delta_lab: Lab, lake: Path) -> None:
    """Whoever lists the directory finds each day once, and after a kill once it was run again."""
    delta_lab.pipeline = open_pipeline("parquet")
    delta_lab.sync("export")
    delta_lab.project.events[FIRST].pop()
    (old,) = (lake / f"mixpanel/export/event_date={FIRST}").iterdir()
    content = old.read_bytes()
    delta_lab.sync("export")
    counts = {str(FIRST): EVENTS_PER_DAY - 1, str(YESTERDAY): EVENTS_PER_DAY}
    assert count_by_day(lake) == counts
    # a kill may leave the old file, or a new one that was not committed
    old.write_bytes(content)
    assert count_by_day(lake) != counts
    not_ours = lake / "mixpanel/export/notes.txt"
    not_ours.touch()
    assert delta_lab.sync("cohorts").failures == {}
    assert count_by_day(lake) == counts == delta_lab.count_by_day()
    assert not_ours.exists()


@pytest.mark.slow
def test_emptied_day_leaves_no_directory(delta_lab: Lab, lake: Path) -> None:
    """Nor does an emptied table, whose columns are still found."""
    delta_lab.pipeline = open_pipeline("parquet")
    delta_lab.sync("export", "cohorts")
    delta_lab.project.events[FIRST].clear()
    delta_lab.project.cohorts.clear()
    delta_lab.sync("export", "cohorts")
    assert not (lake / f"mixpanel/export/event_date={FIRST}").exists()
    cohorts = ds.dataset([*(lake / "mixpanel/cohorts").glob("*.parquet")])
    assert cohorts.count_rows() == 0
    assert "name" in cohorts.schema.names


def test_a_load_is_one_commit_of_the_table(delta_lab: Lab, lake: Path) -> None:
    """However many days it replaces; the commit names the load package."""
    delta_lab.sync("export")
    table = deltalake.DeltaTable(str(lake / "mixpanel" / "export"))
    before = table.version()
    delta_lab.project.events[FIRST].clear()
    add_event(delta_lab.project, YESTERDAY, 9)
    delta_lab.sync("export")
    table.update_incremental()
    assert table.version() == before + 1
    load_ids = [row["_dlt_load_id"] for row in delta_lab.rows("_mixpanel_loads")]
    assert table.history(1)[0][LOAD_ID] == max(load_ids)


def test_tables_of_dlt_are_created_first(delta_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is killed while it creates tables leaves none without those of dlt."""
    created = []
    create = delta.DeltaTables.create

    def note(tables: Any, name: str, schema: pa.Schema) -> None:
        created.append(name)
        create(tables, name, schema)

    monkeypatch.setattr(delta.DeltaTables, "create", note)
    delta_lab.sync("cohorts")
    owner, *others = created
    assert owner == "_mixpanel_dataset"
    assert {*others[:3]} == {"_dlt_version", "_dlt_loads", "_dlt_pipeline_state"}


@pytest.mark.slow
def test_a_faster_writer_is_waited_for(delta_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that another one has overtaken is computed again."""
    delta_lab.sync("export")
    conflicts = iter(["export", "export"])
    commit = jobs.CommitJob._commit

    def overtaken(job: jobs.CommitJob, client: object, table: dict[str, str]) -> None:
        if table["name"] == "export" and next(conflicts, None):
            raise CommitConflictError
        commit(job, client, table)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs.CommitJob, "_commit", overtaken)
    delta_lab.project.events[YESTERDAY].clear()
    assert delta_lab.sync("export").failures == {}
    delta_lab.assert_events_kept(FIRST)


def test_status_shows_files(
    delta_lab: Lab,
    lake: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The number of files of a table, and their size, as text and as JSON."""
    set_environment(monkeypatch, delta_lab.settings)
    delta_lab.sync("export")
    sizes = [path.stat().st_size for path in lake.rglob("mixpanel/export/**/*.parquet")]
    assert cli.main(["status", "--destination", "delta", "--json"]) == cli.DONE
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert tables["export"]["files"] == {"count": 2, "bytes": sum(sizes)}
    assert cli.main(["status", "--destination", "delta"]) == cli.DONE
    assert f"2 files, {sum(sizes) / 1e6:.1f} MB" in capsys.readouterr().out


@pytest.mark.slow
def test_small_tables_stay_few_files(delta_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that every load adds to is written anew before it has too many files."""
    for module in (jobs, writes):
        monkeypatch.setattr(module, "MAX_FILES", 3)
    for _ in range(5):
        delta_lab.sync("export")
    tables = destination_of(delta_lab.pipeline)._client.sql_client.tables
    tables.refresh()
    for name in ("_mixpanel_loads", "_dlt_loads", "_dlt_pipeline_state"):
        assert len(tables.files(name)) <= 3, name
    assert len(delta_lab.rows("_mixpanel_loads")) == 5 * 2


def test_iceberg_tables_are_read_without_us(delta_lab: Lab, lake: Path) -> None:
    """By pyiceberg, through the catalog beside the datasets, which nobody holds open any more."""
    catalogs = pytest.importorskip("pyiceberg.catalog.sql")
    delta_lab.pipeline = open_pipeline("iceberg")
    with open_connections() as connections:
        assert delta_lab.sync("export").failures == {}
    assert connections == []
    catalog = catalogs.SqlCatalog("mixpanel", uri=f"sqlite:///{lake}/catalog.db")
    table = catalog.load_table("mixpanel.export")
    rows = table.scan(row_filter=f"event_date = '{FIRST}'").to_arrow()
    assert len(rows) == EVENTS_PER_DAY
    load_ids = [row["_dlt_load_id"] for row in delta_lab.rows("_mixpanel_loads")]
    assert table.current_snapshot().summary[LOAD_ID] == max(load_ids)
    catalog.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_nothing_of_a_forgotten_person_stays(delta_lab: Lab, lake: Path, name: str) -> None:
    """Neither a file of an earlier version nor the log has the id."""
    if name == "iceberg":
        pytest.importorskip("pyiceberg")
    delta_lab.pipeline = open_pipeline(name)
    add_event(delta_lab.project, FIRST, 30, distinct_id="somebody@example.com")
    delta_lab.project.add_profile("somebody@example.com", {"$email": "somebody@example.com"})
    delta_lab.sync()
    delta_lab.sync()
    mixpanel_source.forget(["somebody@example.com"], destination=name, clock=delta_lab.clock)
    for path in lake.rglob("*"):
        if path.suffix == ".parquet":
            assert "somebody" not in str(ds.dataset(path).to_table().to_pylist()), path
        elif path.is_file():
            assert b"somebody" not in path.read_bytes(), path
    delta_lab.sync()
    assert len(delta_lab.rows("export")) == 2 * EVENTS_PER_DAY


def test_second_job_is_refused(delta_lab: Lab, lake: Path) -> None:
    """A job locks a file beside the dataset, not the other datasets of the lake."""
    access = destination_of(delta_lab.pipeline).acquire()
    assert (lake / ".mixpanel.lock").exists()
    with pytest.raises(BusyError, match="Another job that loads into"):
        destination_of(delta_lab.pipeline).acquire()
    other = destination_of(open_pipeline("delta", dataset="other")).acquire()
    other.release()
    access.release()


def test_settings_that_are_missing(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to set, and what to install, is in the message."""
    monkeypatch.setitem(sys.modules, "mixpanel_source.destinations.lake.delta", None)
    with pytest.raises(ConfigError, match=r"pip install 'mixpanel-source\[delta\]'"):
        open_pipeline("delta")
    monkeypatch.delenv("DESTINATION__DELTA__BUCKET_URL")
    with pytest.raises(ConfigError, match="set DESTINATION__DELTA__BUCKET_URL"):
        open_pipeline("delta")
    assert not lake.exists()


@pytest.mark.slow
def test_iceberg_in_a_bucket_needs_a_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file would not be found by the next machine. Needs the extra `lake-tests`."""
    given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "REGION_NAME": "us-east-1"}
    for setting, value in given.items():
        monkeypatch.setenv(f"DESTINATION__ICEBERG__CREDENTIALS__{setting}", value)
    monkeypatch.setenv("DESTINATION__ICEBERG__BUCKET_URL", "s3://bucket/lake")
    with pytest.raises(ConfigError, match="DESTINATION__ICEBERG__CATALOG_URI"):
        open_pipeline("iceberg")


@pytest.mark.parametrize(
    "dataset",
    slow_except(["memory"], ("memory", "temp", "main")),
)
def test_any_name_of_a_dataset(delta_lab: Lab, dataset: str) -> None:
    """Also a name that DuckDB has for a database of its own."""
    delta_lab.pipeline = open_pipeline("delta", dataset=dataset)
    assert delta_lab.sync("engage").failures == {}
    delta_lab.assert_profiles_kept()


def test_a_configured_name(delta_lab: Lab, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The destination is recognized under any name that the configuration gives it."""
    monkeypatch.setenv("DESTINATION__WAREHOUSE__DESTINATION_TYPE", "delta")
    monkeypatch.setenv("DESTINATION__WAREHOUSE__BUCKET_URL", str(lake / "other"))
    pipeline = open_pipeline("warehouse")
    assert destination_of(pipeline).extra == "mixpanel-source[delta]"
    delta_lab.pipeline = pipeline
    assert delta_lab.sync("cohorts").failures == {}
    assert (lake / "other/mixpanel/cohorts/_delta_log").is_dir()
