"""Destinations get the same tables, as parquet, and the registry alone tells them apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mixpanel_source
from mixpanel_sandbox import made_up_project
from mixpanel_source.destinations.base import Destination
from mixpanel_source.destinations.duckdb.destination import DuckDb
from mixpanel_source.destinations.files import Files
from mixpanel_source.destinations.postgres.destination import Postgres
from mixpanel_source.destinations.registry import DESTINATIONS, destination_of, find_destination
from mixpanel_source.destinations.sqlalchemy import SqlAlchemy
from mixpanel_source.errors import BusyError, ConfigError
from tests.support.lab import Lab, load
from tests.support.projects import EVENTS_PER_DAY, YESTERDAY
from tests.support.tables import read_types

pytestmark = pytest.mark.every_destination

TABLES = ("export", "engage", "cohorts", "_mixpanel_loads", "_mixpanel_columns")


@pytest.mark.usefixtures("postgres")
def test_both_destinations_get_the_same_tables() -> None:
    """Tables, columns and their types are the same."""
    project = made_up_project(last_day=date(2026, 11, 20), days=2)
    types = {}
    for destination in ("duckdb", "postgres"):
        pipeline = mixpanel_source.open_pipeline(destination)
        load(project, pipeline, "export", "engage", "cohorts", properties="both")
        types[destination] = {table: read_types(pipeline, table) for table in TABLES}
        pipeline.drop()
    assert types["duckdb"] == types["postgres"]


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize("table", ["export", "engage", "cohorts"])
def test_postgres_takes_parquet(table: str) -> None:
    """Every file is loaded as parquet, which ADBC copies, and none as text."""
    project = made_up_project(last_day=date(2026, 11, 20), days=1)
    pipeline = mixpanel_source.open_pipeline("postgres")
    load(project, pipeline, table)
    loaded = loaded_files(pipeline)
    assert {name.split(".")[0] for name in loaded} >= {table, "_mixpanel_loads"}
    assert {name.rsplit(".", 1)[-1] for name in loaded} == {"parquet", "sql"}


def loaded_files(pipeline: dlt.Pipeline) -> list[str]:
    """The files of the last package, except those of dlt's own tables."""
    trace = pipeline.last_trace
    assert trace is not None
    assert trace.last_load_info is not None
    packages = trace.last_load_info.load_packages
    files = [job.job_file_info for package in packages for job in package.jobs["completed_jobs"]]
    return [file.file_name() for file in files if not file.table_name.startswith("_dlt")]


def test_appending_destination_is_announced(
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A sync warns if the destination only appends, and only then."""
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "files"))
    lab.sync("engage")
    assert "cannot replace rows" not in caplog.text
    files = mixpanel_source.open_pipeline("filesystem", name="files")
    mixpanel_source.sync(("engage",), pipeline=files, clock=lab.clock, **lab.settings)
    assert "filesystem cannot replace rows" in caplog.text
    assert list((tmp_path / "files").rglob("engage/*.parquet"))


def test_files_hold_no_rows_that_stand_for_nothing(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is replaced, an empty day and an empty list leave no row."""
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "files"))
    lab.project.events[YESTERDAY] = []
    lab.project.cohorts = []
    files = mixpanel_source.open_pipeline("filesystem", name="files")
    result = mixpanel_source.sync(
        ("export", "cohorts"), pipeline=files, clock=lab.clock, **lab.settings
    )
    assert result.failures == {}
    paths = [*(tmp_path / "files").rglob("export/*.parquet")]
    events = pa.concat_tables([pq.read_table(path) for path in paths])
    assert len(events) == result.rows["export"] == EVENTS_PER_DAY * 7
    assert "" not in events["event_key"].to_pylist()
    assert not [*(tmp_path / "files").rglob("cohorts/*.parquet")]


def test_destination_that_cannot_replace_a_day_is_refused(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that merges by a key alone is refused before the first request."""
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "files"))
    files = mixpanel_source.open_pipeline("filesystem", name="files")
    # files in a table format are such a destination
    monkeypatch.delattr(Files, "refusal")
    with pytest.raises(ConfigError, match="filesystem cannot replace the rows of a day"):
        mixpanel_source.sync(("engage",), pipeline=files, clock=lab.clock, **lab.settings)
    assert lab.sandbox.requests == []
    assert not (tmp_path / "files").exists()


def test_destination_that_changes_values_is_refused(lab: Lab) -> None:
    """Databases that dlt reaches through SQLAlchemy get JSON that is encoded twice."""
    assert find_destination("sqlalchemy") is SqlAlchemy
    assert "encodes JSON a second time" in SqlAlchemy(lab.pipeline).refusal


def test_untested_destination_is_announced(lab: Lab) -> None:
    """Where dlt's own merge replaces rows, a warning says that this is not tested."""
    assert destination_of(lab.pipeline).limits is None
    assert "not among the tested" in str(Destination(lab.pipeline).limits)
    assert Destination(lab.pipeline).refusal is None


def test_destination_is_found_by_its_name() -> None:
    """Short and full names are equal; a destination without a row gets the defaults."""
    assert find_destination("duckdb") is find_destination("dlt.destinations.duckdb") is DuckDb
    assert find_destination("postgres") is Postgres
    assert find_destination("snowflake") is find_destination("my.own.duckdb") is Destination


def test_destination_under_a_configured_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB is recognized under any name that the configuration gives it."""
    monkeypatch.setenv("DESTINATION__WAREHOUSE__DESTINATION_TYPE", "duckdb")
    monkeypatch.setenv("DESTINATION__WAREHOUSE__CREDENTIALS", str(tmp_path / "events.duckdb"))
    pipeline = mixpanel_source.open_pipeline("warehouse", dataset="events")
    assert pipeline.dataset_name == "main"
    assert mixpanel_source.open_pipeline("warehouse", dataset="other").dataset_name == "other"
    destination = destination_of(pipeline)
    assert not destination.exists
    assert isinstance(
        destination.connection_error(OSError("Could not set lock on file")), BusyError
    )
    assert destination.takes_views


def test_destination_without_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps the name of the dataset, and has neither views nor comments."""
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "mixpanel"))
    pipeline = mixpanel_source.open_pipeline("filesystem", dataset="mixpanel", name="files")
    destination = destination_of(pipeline)
    assert pipeline.dataset_name == destination.dataset_name == "mixpanel"
    assert destination.exists
    assert "filesystem cannot be reached" in str(destination.connection_error(OSError()))
    assert not destination.takes_views
    assert destination.comments_query is None


def comparisons() -> Iterator[str]:
    """Yields each string that a module outside `destinations/` compares something with."""
    package = Path(mixpanel_source.__file__).parent
    for path in package.rglob("*.py"):
        if "destinations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value


def test_only_the_registry_chooses_among_destinations() -> None:
    """No other module compares anything with the name of a destination."""
    assert {*comparisons()} & {*DESTINATIONS} == set()
