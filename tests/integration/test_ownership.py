"""A dataset holds one project, loaded by one pipeline; anyone else is refused beforehand."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import dlt
import pytest
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.extract.exceptions import ResourceExtractionError

from mixpanel_source.cli import main
from mixpanel_source.errors import ConfigError, MixpanelError
from mixpanel_source.tables.ownership import OWNER_TABLE, claim_dataset
from tests.support.lab import Lab
from tests.support.settings import set_environment

pytestmark = pytest.mark.every_destination

PROJECT, OTHER_PROJECT = 1234567, 7654321


def pipeline_named(lab: Lab, name: str) -> dlt.Pipeline:
    """A pipeline with that name to the same dataset."""
    return dlt.pipeline(
        name,
        destination=lab.pipeline.destination,
        dataset_name=lab.pipeline.dataset_name,
    )


def execute(lab: Lab, statement: str) -> None:
    """Run a statement; `{owner}` in it is the table of the owner."""
    with lab.pipeline.sql_client() as client:
        client.execute_sql(statement.format(owner=client.make_qualified_table_name(OWNER_TABLE)))


def owners(lab: Lab) -> list[tuple[Any, ...]]:
    """Project and pipeline of each row of the owner's table."""
    with lab.pipeline.sql_client() as client:
        table = client.make_qualified_table_name(OWNER_TABLE)
        rows = client.execute_sql(f"SELECT project_id, pipeline FROM {table}")
        return [tuple(row) for row in rows or ()]


def assert_refused(lab: Lab, name: str, message: str, **given: Any) -> None:
    """A sync and a backfill under a name are refused: exit code 2, no request, no change."""
    events, profiles = lab.rows("export"), lab.rows("engage")
    before, pipeline = owners(lab), lab.pipeline
    lab.pipeline = pipeline_named(lab, name)
    for job, arguments in ((lab.sync, ()), (lab.backfill, ("2026-11-14,2026-11-15",))):
        with pytest.raises(ConfigError, match=message) as refused:
            job(*arguments, **given)
        assert refused.value.exit_code == 2
        assert lab.sandbox.requests == []
    lab.pipeline = pipeline
    pipeline.activate()
    assert sorted(map(str, lab.rows("export"))) == sorted(map(str, events))
    assert sorted(map(str, lab.rows("engage"))) == sorted(map(str, profiles))
    assert owners(lab) == before


def test_dataset_belongs_to_who_loads_first(any_lab: Lab) -> None:
    """Another project is refused under any name, and the same project under another name."""
    any_lab.sync()
    assert owners(any_lab) == [(PROJECT, "mixpanel")]
    other = {"project_id": OTHER_PROJECT}
    message = rf"project_id is {OTHER_PROJECT}, but the dataset holds project {PROJECT} \(dataset"
    assert_refused(any_lab, "mixpanel", message, **other)
    assert_refused(any_lab, "other", message, **other)
    assert_refused(any_lab, "other", r"the pipeline is other, but .* Load with --pipeline mixpanel")
    assert any_lab.sync().failures == {}
    any_lab.assert_events_kept()
    any_lab.assert_profiles_kept()


def test_plain_dlt_run_is_refused(any_lab: Lab) -> None:
    """A run of the source without a job is refused as well, before its first request."""
    any_lab.sync("export")
    any_lab.sandbox.forget_requests()
    pipeline = pipeline_named(any_lab, "other")
    with pytest.raises(Exception, match="Load with --pipeline mixpanel") as failed:
        pipeline.run(any_lab.source("export"), loader_file_format="parquet")
    assert isinstance(failed.value.__cause__, ResourceExtractionError)
    assert any_lab.sandbox.requests == []
    any_lab.pipeline.activate()
    any_lab.assert_events_kept()


def test_dataset_of_an_earlier_version_is_adopted(any_lab: Lab) -> None:
    """A dataset without an owner belongs to the pipeline whose state is in it."""
    any_lab.sync()
    execute(any_lab, "DROP TABLE {owner}")
    pipeline = any_lab.pipeline
    any_lab.pipeline = pipeline_named(any_lab, "other")
    with pytest.raises(ConfigError, match="loaded by the pipeline mixpanel"):
        any_lab.sync()
    assert any_lab.sandbox.requests == []
    assert owners(any_lab) == [(PROJECT, "mixpanel")]
    execute(any_lab, "DROP TABLE {owner}")
    any_lab.pipeline = pipeline
    with pytest.raises(ConfigError, match=f"holds project {PROJECT}"):
        any_lab.sync(project_id=OTHER_PROJECT)
    execute(any_lab, "DROP TABLE {owner}")
    assert any_lab.sync().failures == {}
    assert owners(any_lab) == [(PROJECT, "mixpanel")]
    any_lab.assert_events_kept()


def test_claim_that_loaded_nothing_gives_way(any_lab: Lab) -> None:
    """A job with the wrong project leaves no claim; if it was killed, its claim gives way."""
    with suppress(MixpanelError):
        any_lab.sync("engage", project_id=OTHER_PROJECT)
    with pytest.raises(DatabaseUndefinedRelation):
        owners(any_lab)
    claim_dataset(any_lab.pipeline, project_id=OTHER_PROJECT)
    assert owners(any_lab) == [(OTHER_PROJECT, "mixpanel")]
    assert any_lab.sync("engage").failures == {}
    assert owners(any_lab) == [(PROJECT, "mixpanel")]
    with pytest.raises(ConfigError, match=f"holds project {PROJECT}"):
        any_lab.sync("engage", project_id=OTHER_PROJECT)


def test_owner_can_be_changed_by_hand(lab: Lab) -> None:
    """An owner that was deleted is the next one to load."""
    lab.sync("export")
    execute(lab, "DELETE FROM {owner}")
    assert lab.sync("export").failures == {}
    assert owners(lab) == [(PROJECT, "mixpanel")]


def test_loaded_response_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Responses of another project are not loaded beside the tables of the first."""
    lab.sync("export")
    lab.sandbox.forget_requests()
    set_environment(monkeypatch, {**lab.settings, "project_id": OTHER_PROJECT})
    assert main(["request", "GET", "/api/query/events/names", "--table", "names"]) == 2
    assert lab.sandbox.requests == []
