"""DuckDB and PostgreSQL get the same tables, and get them through parquet."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dlt
import pytest

import mixpanel_source
from mixpanel_sandbox import made_up_project
from tests.integration.fidelity import load, open_pipeline, read_types
from tests.integration.jobs import Lab

TABLES = ("export", "engage", "cohorts", "_mixpanel_loads", "_mixpanel_columns")


def test_both_destinations_get_the_same_tables(request: pytest.FixtureRequest) -> None:
    """Tables, columns and their types are the same, and every table was loaded as parquet."""
    project = made_up_project(last_day=date(2026, 11, 20), days=2)
    types = {}
    for destination in ("duckdb", "postgres"):
        pipeline = open_pipeline(destination, request)
        load(project, pipeline, tables=("export", "engage", "cohorts"), properties="both")
        types[destination] = {table: read_types(pipeline, table) for table in TABLES}
        pipeline.drop()
    assert types["duckdb"] == types["postgres"]


@pytest.mark.parametrize("table", ["export", "engage", "cohorts"])
def test_postgres_takes_parquet(table: str, request: pytest.FixtureRequest) -> None:
    """All that is loaded goes in as parquet, which ADBC copies; nothing as text."""
    project = made_up_project(last_day=date(2026, 11, 20), days=1)
    pipeline = open_pipeline("postgres", request)
    load(project, pipeline, tables=(table,))
    loaded = loaded_files(pipeline)
    assert {name.split(".")[0] for name in loaded} >= {table, "_mixpanel_loads"}
    assert {name.rsplit(".", 1)[-1] for name in loaded} == {"parquet", "sql"}


def loaded_files(pipeline: dlt.Pipeline) -> list[str]:
    """The files of the last package, those of dlt's own tables left out."""
    trace = pipeline.last_trace
    assert trace is not None
    assert trace.last_load_info is not None
    packages = trace.last_load_info.load_packages
    files = [job.job_file_info for package in packages for job in package.jobs["completed_jobs"]]
    return [file.file_name() for file in files if not file.table_name.startswith("_dlt")]


def test_files_are_said_to_grow(
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where nothing can be replaced a sync says so, and where it can be it does not."""
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "files"))
    lab.sync("engage")
    assert "cannot replace rows" not in caplog.text
    files = mixpanel_source.open_pipeline("filesystem", name="files")
    mixpanel_source.sync(("engage",), pipeline=files, clock=lab.clock, **lab.settings)
    assert "filesystem cannot replace rows" in caplog.text
    assert list((tmp_path / "files").rglob("engage/*.parquet"))
