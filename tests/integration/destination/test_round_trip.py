"""From one project through a database into another: nothing is lost or changed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixpanel_destination.rows.checks import Period
from mixpanel_destination.rows.events import EventPacker
from mixpanel_destination.rows.fingerprints import served_event
from mixpanel_sandbox import Project, Sandbox
from mixpanel_sandbox.writes.bodies import split_rows
from mixpanel_sandbox.writes.event_lines import build_line
from mixpanel_source import open_pipeline, sync
from tests.support.nasty_events import nasty_lines
from tests.support.settings import UNLIMITED, set_environment, settings_for
from tests.support.writing import PREFIX, Writing, destination_settings

SET_BY_MIXPANEL = (
    "mp_processing_time_ms",
    "$import",
    "$mp_api_endpoint",
    "$mp_api_timestamp_ms",
    "$distinct_id_before_identity",
    "mp_original_event_name",
    "mp_original_distinct_id",
)


def comparable(line: bytes) -> dict[str, Any]:
    """Return a stored event without what Mixpanel sets or what a migration must change."""
    event = json.loads(line)
    properties = event["properties"]
    sent_id = properties.get("$distinct_id_before_identity") or properties["distinct_id"]
    original = properties.get("mp_original_event_name")
    event["event"] = original or event["event"]
    properties["distinct_id"] = properties.get("mp_original_distinct_id") or sent_id
    for name in SET_BY_MIXPANEL:
        properties.pop(name, None)
    return dict(event)


def sort_key(event: dict[str, Any]) -> str:
    """Order events whatever their ids."""
    return json.dumps(event, sort_keys=True)


@pytest.fixture
def two_projects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Writing]:
    """A project with nasty events, and an empty one to write them to."""
    source = Project(identity="original")
    target = Project(project_id=7654321, name="Copy", identity="original")
    yesterday = int(time.time()) // 86_400 * 86_400 - 80_000
    day = datetime.fromtimestamp(yesterday, timezone.utc).date()
    for line in nasty_lines(yesterday):
        source.events.setdefault(day, []).append(line)
    with Sandbox(source, others=[target], **UNLIMITED) as sandbox:
        set_environment(monkeypatch, settings_for(sandbox))
        written = destination_settings(sandbox, target)
        set_environment(monkeypatch, written, prefix=PREFIX)
        yield Writing(sandbox, target, tmp_path)


def test_events_come_back_unchanged(two_projects: Writing) -> None:
    """Export, load into DuckDB, import, export: nothing missing, extra or different."""
    result = sync(["export"], properties="json")
    assert result.failures == {}
    project = f"--project-id={two_projects.project.project_id}"
    assert two_projects.run("import", "events", "--from", "export", project, "--yes") == 0
    assert two_projects.run("verify", "--deep") == 0
    two_projects.events()
    served = [line for lines in two_projects.project.events.values() for line in lines]
    expected = [line for lines in two_projects.sandbox.project.events.values() for line in lines]
    stored = [comparable(line) for line in served]
    sources = [comparable(line) for line in expected]
    for event in (*stored, *sources):
        # made, where it was missing or invalid
        if event["properties"].get("$insert_id", "").removeprefix("a-") not in "1234":
            event["properties"].pop("$insert_id", None)
    assert sorted(map(sort_key, stored)) == sorted(map(sort_key, sources))
    assert any(b'"f":0.1234567890123456789,"e":1e21,"z":-0' in line for line in served)


@pytest.mark.parametrize("mode", ["columns", pytest.param("both", marks=pytest.mark.slow)])
def test_columns_become_properties_again(two_projects: Writing, mode: str) -> None:
    """From a table with a column for each property, each comes back under its own name."""
    source = two_projects.sandbox.project
    source.add_profile("u1", {"$email": "a@b.c", "plan name": "pro", "tags": ["x"], "n": 1.5})
    result = sync(["export", "engage"], properties=mode)
    assert result.failures == {}
    project = f"--project-id={two_projects.project.project_id}"
    for kind, table in (("events", "export"), ("profiles", "engage")):
        assert two_projects.run("import", kind, "--from", table, project, "--yes") == 0
    (stored_profile,) = map(json.loads, two_projects.project.profiles)
    assert stored_profile == json.loads(source.profiles[0])
    stored = {row["properties"]["$insert_id"]: row for row in two_projects.events()}
    properties = stored["a-1"]["properties"]
    assert properties["a.b[0]"] == {"k": {"k2": {"k3": 1}}}
    assert (properties["$browser"], properties["browser"]) == ("Chrome", "chrome")
    assert len(stored) == 8


@pytest.mark.slow
def test_postgres_keeps_numbers(two_projects: Writing, postgres: str) -> None:
    """JSON in Postgres is taken over as text."""
    assert postgres
    result = sync(["export"], pipeline=open_pipeline("postgres"), properties="json")
    assert result.failures == {}
    project = f"--project-id={two_projects.project.project_id}"
    arguments = ["--from", "export", "--destination", "postgres", project, "--yes"]
    assert two_projects.run("import", "events", *arguments) == 0
    assert two_projects.run("verify", "--deep") == 0
    two_projects.events()
    served = [line for lines in two_projects.project.events.values() for line in lines]
    assert any(b"0.1234567890123456789" in line for line in served)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = SCALARS | st.lists(SCALARS, max_size=4) | st.dictionaries(TEXTS, SCALARS, max_size=4)
RESERVED = {"time", "distinct_id", "$insert_id", "ip", "token", "$city", "$region"}
NAMES = TEXTS.filter(lambda name: name not in {*RESERVED, "mp_country_code", *SET_BY_MIXPANEL})


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TEXTS.filter(bool), st.dictionaries(NAMES, VALUES, max_size=8), TEXTS, TEXTS)
def test_made_up_events_come_back_unchanged(
    name: str, values: dict[str, Any], distinct_id: str, insert_id: str
) -> None:
    """Whatever an event holds, what is stored has the key and the content of what was staged."""
    properties = {
        "time": 1_795_000_000,
        "distinct_id": distinct_id,
        "$insert_id": insert_id,
        **values,
    }
    line = json.dumps({"event": name, "properties": properties}).encode()
    staged = EventPacker(Period.at(1_795_780_000, 1825)).pack(line)
    assert not staged.held
    (row,) = split_rows(staged.payload.encode(), "application/x-ndjson")
    stored = build_line(row, 1_795_780_000_000, "import")
    found = served_event(stored)
    assert (found.key, found.content) == (staged.key, staged.content)
    served = json.loads(stored)
    for key, value in values.items():
        assert served["properties"][key] == value
