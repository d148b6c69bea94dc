"""Every value served can be read back from the tables, in any mode, from any destination."""

from __future__ import annotations

import json
from datetime import date
from tempfile import TemporaryDirectory
from typing import Any

import dlt
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mixpanel_sandbox import Project, made_up_project
from mixpanel_source import open_pipeline
from tests.support.fidelity import assert_kept, assert_same, read_rows, served_profiles
from tests.support.json_values import property_sets, to_line
from tests.support.lab import load
from tests.support.tables import read_types, select_all

pytestmark = pytest.mark.every_destination

DAY = date(2026, 11, 20)
MIDNIGHT_S = 1_795_132_800

NASTY_DAY = date(2023, 7, 22)
NASTY_EVENTS = [
    rb"""{"event":"$identify","properties":{"time":1690000000,"distinct_id":"0f8f-anon",
"$distinct_id_before_identity":"user-7","$identified_id":"user-7","$anon_id":"0f8f-anon",
"$insert_id":"v1","$import":true,"mp_processing_time_ms":1690003600123}}""",
    """{"event":"Ünïcode ✓ \\"quoted\\"","properties":{"time":1690000001,"distinct_id":"",
"$insert_id":"a-1","plan name":null,"a.b[0]":{"k":{"k2":{"k3":1}}},"tags":["x",null,3],
"big":9007199254740993,"$browser":"Chrome","browser":"chrome"}}""".encode(),
    rb"""{"event":"$hotshard_events","properties":{"time":1690000002,"distinct_id":"",
"mp_original_event_name":"Ping","mp_original_distinct_id":"bot","$insert_id":"a-2"}}""",
    # an event before and after its user was identified
    rb"""{"event":"Ping","properties":{"time":1690000002,"distinct_id":"$device:9b1d",
"$device_id":"9b1d","$insert_id":"a-3","text":"line\u2028sep"}}""",
    """{"event":"Ping","properties":{"time":1690000002,"distinct_id":"user-9","$user_id":"user-9",
"$device_id":"9b1d","$distinct_id_before_identity":"$device:9b1d","$insert_id":"a-3",
"text":"line\u2028sep","mp_processing_time_ms":1690090000000}}""".encode(),
    # no time, a time that is text, a time that is no time
    rb'{"event":"Timeless","properties":{"distinct_id":"u"}}',
    rb'{"event":"ISO","properties":{"time":"2023-07-22T04:26:40","distinct_id":7}}',
    rb'{"event":"Odd","properties":{"time":{"at":1690000000},"$insert_id":8}}',
    rb'{"event":"Fraction","properties":{"time":1690000000.25}}',
    rb'{"event":"","properties":{}}',
]
NASTY_EVENTS = [line.replace(b"\n", b" ") for line in NASTY_EVENTS]
NASTY_PROFILES = [
    rb'{"$distinct_id":"","$properties":{"distinct_id":"x","$distinct_id":"y","Distinct ID":1}}',
    rb'{"$distinct_id":"2","$properties":{"2024-01-01":"a date","2024-01-01T00:00:00Z":"too"}}',
    rb'{"$distinct_id":"3","$properties":{"ctid":1,"xmin":2,"oid":3,"rowid":4,"$properties":{}}}',
    rb'{"$distinct_id":"4","$properties":{}}',
]


@pytest.mark.parametrize("mode", ["columns", "json", pytest.param("both", marks=pytest.mark.slow)])
def test_a_made_up_project_is_kept(any_pipeline: dlt.Pipeline, mode: str) -> None:
    """A made-up shop comes back value by value."""
    project = made_up_project(last_day=DAY, days=3)
    load(project, any_pipeline, properties=mode)
    assert_kept(project, any_pipeline, properties=mode)


def test_the_nasty_rows_are_kept(any_pipeline: dlt.Pipeline) -> None:
    """Rows that each broke a connector come back; of one event seen twice the newer."""
    project = Project(events={NASTY_DAY: NASTY_EVENTS}, profiles=NASTY_PROFILES)
    load(project, any_pipeline, properties="both")
    assert_kept(project, any_pipeline, properties="both")
    assert len(select_all(any_pipeline, "export")) == len(NASTY_EVENTS) - 1


def test_the_first_property_may_look_like_a_moment() -> None:
    """Names of properties are text, whatever they look like."""
    project = Project(events={DAY: []})
    project.add_profile("u", {"2024-01-01T00:00:00Z": 1})
    pipeline = open_pipeline()
    load(project, pipeline, "engage")
    assert read_types(pipeline, "_mixpanel_columns")["property"] == "text"
    assert_same(served_profiles(project), read_rows(pipeline, "engage"))


@pytest.mark.parametrize("mode", ["columns", pytest.param("both", marks=pytest.mark.slow)])
@settings(
    max_examples=1,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    # it goes by the clock, and a busy machine is no mistake
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    events=st.lists(property_sets(), min_size=30, max_size=40),
    profiles=st.lists(property_sets(), max_size=10),
)
def test_made_up_json_is_kept(
    mode: str, events: list[dict[str, Any]], profiles: list[dict[str, Any]]
) -> None:
    """Values of every kind under names of every kind come back, those of profiles too."""
    project = Project()
    for number, properties in enumerate(events):
        identity = {"time": MIDNIGHT_S + number, "$insert_id": f"i{number}", "distinct_id": "u"}
        lines = project.events.setdefault(DAY, [])
        lines.append(to_line("e", {**properties, **identity}))
    for number, properties in enumerate(profiles):
        profile = {"$distinct_id": f"u{number}", "$properties": properties}
        project.profiles.append(json.dumps(profile).encode())
    with TemporaryDirectory() as directory:
        kind = dlt.destinations.duckdb(f"{directory}/fidelity.duckdb")
        pipeline = dlt.pipeline("fidelity", destination=kind, dataset_name="mixpanel")
        load(project, pipeline, properties=mode)
        assert_kept(project, pipeline, properties=mode)
