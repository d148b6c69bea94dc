"""A schema contract on `export` does what it does on any dlt resource, new properties included.

A property's first type makes a column and a later type another, so it is `columns` of a contract
that decides on both; `data_type` never has anything to decide.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from mixpanel_sandbox import Project
from mixpanel_source import open_pipeline
from tests.support.clock import Clock, noon
from tests.support.json_values import to_line
from tests.support.lab import open_lab
from tests.support.tables import select_all

DAY = date(2026, 11, 18)
MIDNIGHT_S = 1_794_960_000


@pytest.fixture
def pipeline() -> dlt.Pipeline:
    """Gives a pipeline to DuckDB that has loaded one event with `price`."""
    pipeline = open_pipeline()
    run(pipeline, Project(events={DAY: [event("known", price=1)]}), None)
    return pipeline


@pytest.mark.parametrize("contract", ["evolve", {"data_type": "freeze"}])
def test_evolving_columns_are_added(pipeline: dlt.Pipeline, contract: Any) -> None:
    """What is new gets its columns if the contract lets columns evolve."""
    run(pipeline, changed_project(), contract)
    assert prices(pipeline) == {"known": 1, "same": 2, "new": 3, "drifted": None}
    rows = {row["event"]: row for row in select_all(pipeline, "export")}
    assert rows["new"]["plan"] == "pro"
    assert rows["drifted"]["price__v_text"] == "free"


@pytest.mark.parametrize("contract", ["freeze", {"columns": "freeze"}])
def test_frozen_columns_refuse_new_ones(pipeline: dlt.Pipeline, contract: Any) -> None:
    """A property or a type that is new ends the run, before anything of it is loaded."""
    for _ in range(2):
        with pytest.raises(PipelineStepFailed, match="Can't add table column"):
            run(pipeline, changed_project(), contract)
        assert not pipeline.has_pending_data
    assert prices(pipeline) == {"known": 1}
    run(pipeline, changed_project(), None)
    assert prices(pipeline) == {"known": 1, "same": 2, "new": 3, "drifted": None}


@pytest.mark.parametrize("contract", ["discard_value", {"columns": "discard_value"}])
def test_discarded_values_leave_the_rest_of_the_row(pipeline: dlt.Pipeline, contract: Any) -> None:
    """A property or a type that is new is left out; its rows are loaded."""
    run(pipeline, changed_project(), contract)
    assert prices(pipeline) == {"known": 1, "same": 2, "new": 3, "drifted": None}
    assert not {"plan", "price__v_text"} & select_all(pipeline, "export")[0].keys()


@pytest.mark.parametrize("contract", ["discard_row", {"columns": "discard_row"}])
def test_discarded_rows_are_those_with_something_new(pipeline: dlt.Pipeline, contract: Any) -> None:
    """A row with a property or a type that is new is left out; the others are loaded."""
    # dlt 1.31 looks for a column it discarded in every later table: the day read again has none
    run(pipeline, changed_project(), contract, lookback_days=0)
    assert prices(pipeline) == {"known": 1, "same": 2}


@pytest.mark.parametrize("contract", ["discard_value", "discard_row"])
def test_what_is_said_of_the_data_is_not_under_contract(contract: str) -> None:
    """The windows and the columns are told though the contract discards the table itself."""
    pipeline = open_pipeline()
    run(pipeline, changed_project(), contract)
    assert len(select_all(pipeline, "_mixpanel_loads")) == 2
    told = {row["column_name"] for row in select_all(pipeline, "_mixpanel_columns")}
    assert told >= {"time", "distinct_id", "insert_id", "price"}


def test_a_first_run_may_add_columns_but_not_tables() -> None:
    """Of a table that is yet to be made columns are free; if tables are frozen it is refused."""
    pipeline = open_pipeline()
    with pytest.raises(PipelineStepFailed, match="Can't add table `export`"):
        run(pipeline, changed_project(), "freeze")
    run(pipeline, changed_project(), {"columns": "freeze"})
    assert prices(pipeline) == {"known": 1, "same": 2, "new": 3, "drifted": None}


def changed_project() -> Project:
    """A project of two days, on the second of which a property and a type are new."""
    changed = [
        event("same", price=2),
        event("new", price=3, plan="pro"),
        event("drifted", price="free"),
    ]
    return Project(events={DAY: [event("known", price=1)], DAY + timedelta(days=1): changed})


def event(name: str, **properties: Any) -> bytes:
    """An event, as a line."""
    return to_line(name, {"time": MIDNIGHT_S, "distinct_id": "u", "$insert_id": name, **properties})


def prices(pipeline: dlt.Pipeline) -> dict[str, int | None]:
    """Event -> its `price`, where that is a number."""
    return {row["event"]: row["price"] for row in select_all(pipeline, "export")}


def run(pipeline: dlt.Pipeline, project: Project, contract: Any, **given: Any) -> None:
    """Run the source as a dlt user does, with a contract on `export` if there is one."""
    clock = Clock(noon(max(project.events) + timedelta(days=1)))
    with open_lab(project, pipeline, clock=clock) as lab:
        source = lab.source("export", anchor_date=min(project.events), **given)
        if contract is not None:
            source.export.apply_hints(schema_contract=contract)
        pipeline.run(source, loader_file_format="parquet")
