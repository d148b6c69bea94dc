"""A load that needs more memory than DuckDB usually gets."""

from __future__ import annotations

import logging

import pytest

from mixpanel_sandbox import Project
from mixpanel_source import constants
from mixpanel_source.destinations.duckdb import resources
from mixpanel_source.tables.package import TablePart
from tests.support.lab import open_lab

PROFILES, PROPERTIES = 3_000, 300


def make_project() -> Project:
    """Profiles with so many properties that DuckDB needs a hundred megabytes for their columns."""
    project = Project()
    for number in range(PROFILES):
        texts = {f"p{place}": f"{number} {place}" for place in range(PROPERTIES)}
        project.add_profile(f"u{number}", texts)
    return project


@pytest.mark.parametrize(("limit", "failures"), [(30_000_000, 1), (15_000_000, 2)])
def test_load_gets_more_memory(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    limit: int,
    failures: int,
) -> None:
    """If the usual limit is too low, the rows are inserted with a higher one."""
    monkeypatch.setattr(constants, "DUCKDB_BYTES_MAX", limit)
    monkeypatch.setattr(resources, "_COLUMN_BYTES", 0)
    caplog.set_level(logging.INFO, "mixpanel_source")
    with open_lab(make_project()) as lab:
        result = lab.sync("engage")
        assert result.failures == {}
        lab.assert_profiles_kept()
    message = "engage: DuckDB ran out of memory, and gets more."
    assert caplog.messages.count(message) == failures


def test_load_that_never_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no limit suffices the load fails as before, and the table stays as it was."""
    project = Project()
    project.add_profile("u0", {"p0": "before"})
    with open_lab(project) as lab:
        lab.sync("engage")
        monkeypatch.setattr(constants, "DUCKDB_BYTES_MAX", 1_000_000)
        monkeypatch.setattr(resources, "_COLUMN_BYTES", 0)
        project.profiles[:] = make_project().profiles
        result = lab.sync("engage")
        assert "Out of Memory" in str(result.failures[TablePart("engage")])
        [row] = lab.rows("engage")
        assert row["p0"] == "before"
