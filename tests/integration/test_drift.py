"""A property whose type changes: each value is unchanged in the column of its type."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product
from typing import Any

import dlt
import pytest

from mixpanel_sandbox import Project
from mixpanel_source import constants
from tests.support.clock import Clock, noon
from tests.support.fidelity import assert_kept
from tests.support.json_values import to_line
from tests.support.lab import load
from tests.support.slow import slow_except
from tests.support.tables import read_columns

DAY = date(2026, 11, 18)
MIDNIGHT_S = 1_794_960_000
VALUES: dict[str, Any] = {
    "bool": True,
    "int": 1,
    "long": 2**53 + 1,
    "float": 1.5,
    "text": "1",
    "list": [1],
    "object": {"a": 1},
}
DATA_TYPES = {
    "bool": "bool",
    "int": "bigint",
    "long": "bigint",
    "float": "double",
    "text": "text",
    "list": "json",
    "object": "json",
}
PAIRS = list(product(VALUES, VALUES))
STAGES = ("in one batch", "across batches", "across days", "across runs")


@pytest.mark.parametrize("stage", slow_except(("in one batch", "across runs"), STAGES))
def test_a_value_of_another_type_is_kept(
    any_pipeline: dlt.Pipeline,
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Values of any two types, in either order, are each in a column of their type."""
    project, clock = Project(), Clock(noon(DAY + timedelta(days=2)))
    add(project, DAY, {pair_name(*pair): VALUES[pair[0]] for pair in PAIRS})
    if stage == "across batches":
        for name in ("BLOCK_ROWS", "BATCH_ROWS"):
            monkeypatch.setattr(constants, name, 1)
        # more than is read at a time
        add(project, DAY, {"filler": "x" * 5_000_000})
    elif stage == "across runs":
        load(project, any_pipeline, clock=clock)
    second = DAY + timedelta(days=1) if stage == "across days" else DAY
    add(project, second, {pair_name(*pair): VALUES[pair[1]] for pair in PAIRS})
    load(project, any_pipeline, clock=clock)
    assert_kept(project, any_pipeline)
    columns = read_columns(any_pipeline, "export")
    for first, then in PAIRS:
        found = dict(columns[pair_name(first, then)])
        wanted = expected_types(first, then, together=stage == STAGES[0])
        assert sorted(found.values()) == sorted(wanted)
        if stage != STAGES[0]:
            own = [data_type for column, data_type in found.items() if "__v_" not in column]
            assert own == [DATA_TYPES[first]]


def expected_types(first: str, then: str, *, together: bool) -> set[str]:
    """The column types of a property with values of two kinds."""
    kinds = {first, then}
    if kinds == {"int", "float"} and (together or first == "float"):
        return {"double"}
    return {DATA_TYPES[kind] for kind in kinds}


def pair_name(first: str, then: str) -> str:
    """The name of the property with a value of one kind, then of another."""
    return f"{first} then {then}"


def add(project: Project, day: date, properties: dict[str, Any]) -> None:
    """Add an event to a day."""
    lines = project.events.setdefault(day, [])
    time_s = MIDNIGHT_S + (day - DAY).days * 86_400 + len(lines)
    identity = {"time": time_s, "distinct_id": "u", "$insert_id": f"{day}-{len(lines)}"}
    lines.append(to_line("e", {**properties, **identity}))
