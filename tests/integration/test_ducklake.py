"""DuckLake: its catalogs, extensions, files by day, and what a forgotten person leaves there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dlt
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import mixpanel_source
from mixpanel_source import cli, open_pipeline, status
from mixpanel_source.destinations.ducklake import extensions
from mixpanel_source.destinations.ducklake.extensions import load_extensions
from mixpanel_source.destinations.registry import destination_of
from mixpanel_source.destinations.replacement import Replacement
from mixpanel_source.errors import BusyError, ConfigError
from mixpanel_source.windows import iter_days
from tests.support.lab import Lab, open_lab
from tests.support.projects import YESTERDAY, add_event, make_project
from tests.support.settings import set_environment

CREDENTIALS = "DESTINATION__DUCKLAKE__CREDENTIALS"
CATALOG = f"{CREDENTIALS}__CATALOG"
STORAGE = f"{CREDENTIALS}__STORAGE__BUCKET_URL"
WIDE_COLUMNS = 100
WIDE_DAYS = 10
WIDE_ROWS = 30_000
"""A day."""

needs_extensions = pytest.mark.skipif(
    extensions.find_packaged("ducklake") is None,
    reason="needs the extra ducklake, which also fixes the version of DuckDB",
)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directory of the files of a lake, with a catalog in SQLite beside it."""
    monkeypatch.setenv(CATALOG, f"sqlite:///{tmp_path / 'lake.sqlite'}")
    files = tmp_path / "lake"
    monkeypatch.setenv(STORAGE, str(files))
    return files


def read_ids(files: Path) -> set[str]:
    """The values of `distinct_id` in all files of a lake."""
    tables = [pq.read_table(path) for path in files.rglob("*.parquet")]
    return {
        value
        for table in tables
        if "distinct_id" in table.column_names
        for value in table["distinct_id"].to_pylist()
    }


@needs_extensions
def test_files_by_day(lake: Path) -> None:
    """A day has files of its own, and dlt alone reads the tables as they are."""
    project = make_project(YESTERDAY, YESTERDAY)
    with open_lab(project, open_pipeline("ducklake")) as lab:
        for _ in range(2):
            assert lab.sync("export", anchor_date=YESTERDAY).failures == {}
        lab.assert_events_kept()
        rows = lab.pipeline.dataset()["export"].fetchall()
    assert len(rows) == len(project.events[YESTERDAY])
    files = [path.parent.name for path in lake.rglob("export/**/*.parquet")]
    assert set(files) == {f"event_date={YESTERDAY}"}


@needs_extensions
@pytest.mark.parametrize("column", ["event_date", pytest.param("day", marks=pytest.mark.slow)])
def test_memory(column: str, lake: Path) -> None:
    """More wide rows than fit into memory are loaded, whether or not they have files by day."""
    first = YESTERDAY - timedelta(days=WIDE_DAYS - 1)
    replacement = Replacement(keep="insert_id", scope=(column,))

    @dlt.resource(name="wide", write_disposition=replacement.write_disposition)
    def wide(first: date) -> Iterator[pa.Table]:
        for day in iter_days(first, YESTERDAY):
            ids = pa.array(map(str, range(WIDE_ROWS)))
            words = pc.binary_join_element_wise(ids, "a text of some length", str(day), "-")
            columns = {f"property_{number}": words for number in range(WIDE_COLUMNS)}
            yield pa.table({column: pa.repeat(day, WIDE_ROWS), "insert_id": ids, **columns})

    pipeline = open_pipeline("ducklake")
    for since in (first, YESTERDAY):
        pipeline.run(wide(since), loader_file_format="parquet")
        count = pipeline.dataset()("SELECT count(*), count(DISTINCT property_7) FROM wide")
        assert count.fetchall() == [(WIDE_DAYS * WIDE_ROWS, WIDE_DAYS * WIDE_ROWS)]
    assert bool([*lake.rglob("wide/event_date=*")]) == (column == "event_date")


@needs_extensions
@pytest.mark.slow
@pytest.mark.parametrize("catalog", ["duckdb", "postgres"])
def test_catalogs(
    catalog: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a catalog in DuckDB or Postgres the tables are the same, and one job at a time loads."""
    address = f"duckdb:///{tmp_path / 'catalog.duckdb'}"
    if catalog == "postgres":
        address = request.getfixturevalue("postgres")
    monkeypatch.setenv(CATALOG, address)
    with open_lab(make_project(), open_pipeline("ducklake")) as lab:
        assert lab.sync().failures == {}
        lab.project.events[YESTERDAY].clear()
        add_event(lab.project, YESTERDAY, 9, late=True)
        access = destination_of(lab.pipeline).acquire()
        with pytest.raises(BusyError, match="Another job"):
            lab.sync(max_wait_s=0)
        access.release()
        assert lab.sync().failures == {}
        lab.assert_events_kept()
        lab.assert_profiles_kept()
        assert status(destination="ducklake", clock=lab.clock, **lab.settings).outcome == "done"


@needs_extensions
@pytest.mark.parametrize("option", ["", "0 seconds"], ids=["kept", "expired"])
def test_old_snapshots(option: str, lake: Path) -> None:
    """They stay, with their files, unless the lake says for how long they are needed."""
    project = make_project(YESTERDAY, YESTERDAY)
    with open_lab(project, open_pipeline("ducklake")) as lab:
        lab.sync("export")
        before = count_snapshots(lab)
        if option:
            for name in ("expire_older_than", "delete_older_than"):
                with lab.pipeline.sql_client() as client:
                    client.execute_sql(
                        f"CALL ducklake_set_option('ducklake', '{name}', '{option}')"
                    )
        lab.sync("export")
        lab.assert_events_kept()
        assert (count_snapshots(lab) == 1) if option else (count_snapshots(lab) > before)
    assert len([*lake.rglob("export/**/*.parquet")]) == (1 if option else 2)


def count_snapshots(lab: Lab) -> int:
    """The snapshots of the lake."""
    with lab.pipeline.sql_client() as client:
        [[snapshots]] = (
            client.execute_sql("SELECT count(*) FROM ducklake_snapshots('ducklake')") or ()
        )
    return int(snapshots)


@needs_extensions
def test_forgotten_person_leaves_nothing(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither files of earlier snapshots nor statistics in the catalog hold the id."""
    project = make_project(YESTERDAY, YESTERDAY)
    with open_lab(project, open_pipeline("ducklake")) as lab:
        set_environment(monkeypatch, lab.settings)
        lab.sync(anchor_date=YESTERDAY)
        assert {"u0", "u1"} <= read_ids(lake)
        mixpanel_source.forget(["u0"], destination="ducklake", clock=lab.clock)
    assert read_ids(lake).isdisjoint({"u0"})
    assert "u1" in read_ids(lake)
    catalog = b"".join(path.read_bytes() for path in lake.parent.glob("lake.sqlite*"))
    assert b"u1" in catalog
    assert b"u0u" not in catalog


def test_missing_extension(
    lab: Lab,
    lake: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without an extension for this DuckDB, a job makes no request and says what to install."""
    set_environment(monkeypatch, lab.settings)
    monkeypatch.setattr(extensions, "find_spec", lambda _name: None)
    assert cli.main(["sync", "--destination", "ducklake", "--dataset", "none"]) == cli.WRONG_USAGE
    error = capsys.readouterr().err
    assert "needs the extension sqlite_scanner of DuckDB, which is not installed" in error
    assert "pip install 'mixpanel-source[ducklake]'" in error
    assert lab.sandbox.requests == []
    assert not lake.exists()


@needs_extensions
def test_extension_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the version that the extension is for."""
    version = duckdb.__version__
    monkeypatch.setattr(duckdb, "__version__", "9.9.9")
    with (
        duckdb.connect() as connection,
        pytest.raises(ConfigError, match=rf"for DuckDB {version} only; DuckDB 9\.9\.9 is"),
    ):
        load_extensions(connection, ["ducklake"])


def test_ignored_setting(lab: Lab, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that dlt would ignore, so that the files go elsewhere, is refused."""
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE", str(lake))
    pipeline = open_pipeline("ducklake")
    with pytest.raises(ConfigError, match=f"CREDENTIALS__STORAGE has no effect.*{STORAGE}"):
        mixpanel_source.sync(("engage",), pipeline=pipeline, clock=lab.clock, **lab.settings)
    assert lab.sandbox.requests == []


@needs_extensions
@pytest.mark.usefixtures("lake")
def test_dataset_with_the_name_of_a_database(lab: Lab) -> None:
    """A dataset may be called as the lake is in DuckDB."""
    with open_lab(lab.project, open_pipeline("ducklake", dataset="ducklake")) as other:
        assert other.sync("engage").failures == {}
        other.assert_profiles_kept()
        assert destination_of(other.pipeline).view_obstacle is not None


def test_pipeline_of_dlt_alone(lab: Lab) -> None:
    """A pipeline that would download extensions is refused before the first request."""
    pipeline = dlt.pipeline("own", destination="ducklake", dataset_name="own")
    with pytest.raises(ConfigError, match="Open it with open_pipeline"):
        mixpanel_source.sync(("engage",), pipeline=pipeline, clock=lab.clock, **lab.settings)
    assert lab.sandbox.requests == []


@needs_extensions
def test_catalog_of_other_files(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog is of the files that it was made with."""
    destination_of(open_pipeline("ducklake")).acquire().release()
    monkeypatch.setenv(STORAGE, f"{lake}-moved")
    with pytest.raises(ConfigError, match="is of a lake whose files are elsewhere"):
        destination_of(open_pipeline("ducklake")).acquire()


def test_catalog_without_locks(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog in a database that we cannot lock is refused before the first request."""
    monkeypatch.setenv(CATALOG, "mysql://user:password@localhost/lake")
    pipeline = open_pipeline("ducklake")
    with pytest.raises(ConfigError, match=r"has a catalog in mysql\. Give one in sqlite"):
        mixpanel_source.sync(("engage",), pipeline=pipeline, clock=lab.clock, **lab.settings)
    assert lab.sandbox.requests == []


@needs_extensions
def test_lake_of_another_directory(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lake that a path relative to the working directory names stays where it is."""
    monkeypatch.delenv(CATALOG)
    monkeypatch.delenv(STORAGE)
    pipeline = open_pipeline("ducklake")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    credentials = pipeline.destination_client().config.credentials
    assert credentials is not None
    assert destination_of(pipeline).location == f"ducklake sqlite://{tmp_path / 'ducklake.sqlite'}"
    assert isinstance(pipeline, dlt.Pipeline)
    assert not lake.exists()
