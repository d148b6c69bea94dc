"""The files of a load package are those that we wrote: dlt has not written them a second time."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mixpanel_source.catalog.tables import find_table
from mixpanel_source.config.providers import load_config
from mixpanel_source.jobs.source import build_source
from mixpanel_source.tables.context import LoadContext
from mixpanel_source.tables.package import Checkpoint
from tests.support.lab import Lab

OURS = "LZ4"
"""Compression of our files; dlt's is another."""


def compressions(lab: Lab, table: str) -> set[str]:
    """How the files of a table in a package are compressed, once dlt has normalized it."""
    context = LoadContext(load_config(lab.settings), clock=lab.clock, checkpoint=Checkpoint())
    source = build_source(context, [find_table(table)])
    lab.pipeline.extract(source.with_resources(table), loader_file_format="parquet")
    lab.pipeline.normalize()
    [package] = lab.pipeline.list_normalized_load_packages()
    jobs = lab.pipeline.get_load_package_info(package).jobs["new_jobs"]
    paths = [Path(job.file_path) for job in jobs if job.job_file_info.table_name == table]
    return {pq.read_metadata(path).row_group(0).column(0).compression for path in paths}


@pytest.mark.parametrize("table", ["export", "engage"])
def test_files_are_linked(lab: Lab, table: str) -> None:
    """Those of a first load, and those of rows that lack some columns of the table."""
    assert compressions(lab, table) == {OURS}
    assert lab.sync(table).failures == {}
    assert compressions(lab, table) == {OURS}


@pytest.mark.parametrize("table", ["export", "engage"])
def test_dlt_has_nothing_to_say(lab: Lab, table: str) -> None:
    """The types of JSON columns differ from those in the files, which dlt would warn of."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    dlt_logger = logging.getLogger("dlt")  # it does not propagate
    dlt_logger.addHandler(handler)
    try:
        assert lab.sync(table, properties="both").failures == {}
    finally:
        dlt_logger.removeHandler(handler)
    assert [record.getMessage() for record in records] == []


def test_dlt_writes_where_it_adds_columns(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """If dlt is configured to add its load id to rows, every row has it."""
    monkeypatch.setenv("NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID", "true")
    assert lab.sync("export").failures == {}
    assert {bool(row["_dlt_load_id"]) for row in lab.rows("export")} == {True}
    lab.assert_events_kept()
