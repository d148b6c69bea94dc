"""Projects read from files, and made-up projects."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime, timezone
from pathlib import Path

import pytest

from mixpanel_sandbox import Project, made_up_project
from tests.integration.sandbox.projects import DAY, LINES


def test_project_from_files(tmp_path: Path) -> None:
    """Events, profiles, cohorts, members and groups are each read from their file."""
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "2026-11-03.jsonl.gz").write_bytes(gzip.compress(b"\n".join(LINES)))
    profile = b'{"$distinct_id":"\xe2\x80\xa8","$properties":{}}'
    (tmp_path / "engage.jsonl.gz").write_bytes(gzip.compress(profile + b"\n"))
    (tmp_path / "cohorts.json").write_text('[{"id": 5, "project_id": 77}]')
    (tmp_path / "cohort-members.json").write_text('{"5": ["u1"]}')
    (tmp_path / "groups.json").write_text('{"-1": [{"$distinct_id": 1, "$properties": {}}]}')
    assert Project.from_directory(tmp_path) == Project(
        events={DAY: LINES},
        profiles=[profile],
        cohorts=[{"id": 5, "project_id": 77}],
        cohort_members={5: ["u1"]},
        groups={"-1": [b'{"$distinct_id":1,"$properties":{}}']},
        project_id=77,
    )


def test_lone_surrogates_are_escaped() -> None:
    """UTF-8 cannot represent them."""
    project = Project()
    project.add_profile("\ud800", {})
    assert project.profiles == [b'{"$distinct_id":"\\ud800","$properties":{}}']


def test_project_files_are_optional(tmp_path: Path) -> None:
    """An empty directory is an empty project; a missing one is an error."""
    assert Project.from_directory(tmp_path) == Project()
    with pytest.raises(NotADirectoryError):
        Project.from_directory(tmp_path / "nowhere")


def test_made_up_project_is_repeatable() -> None:
    """The same arguments give the same bytes; another day does not change earlier days."""
    first = made_up_project(last_day=date(2026, 11, 19), days=10)
    again = made_up_project(last_day=date(2026, 11, 19), days=10)
    longer = made_up_project(last_day=date(2026, 11, 20), days=11)
    other = made_up_project(last_day=date(2026, 11, 19), days=10, seed=8)
    assert first == again
    assert first.events.items() <= longer.events.items()
    assert not first.events.items() <= other.events.items()


def test_the_made_up_project_is_awkward() -> None:
    """It has the properties that make real projects hard to load."""
    project = made_up_project(last_day=date(2026, 11, 20))
    rows = [json.loads(line) for lines in project.events.values() for line in lines]
    values: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row["properties"].items():
            values.setdefault(name, set()).add(type(value))
    assert values["price"] == {int, float}
    assert values["quantity"] == {int, str}
    assert values["tags"] == {list}
    assert values["device"] == {dict}
    assert values["$os"] == {str, type(None)}
    assert {"$insert_id", "plan name", "Plan", "plan", "cartTotal", "größe"} <= values.keys()
    prefixes = {str(row["properties"]["distinct_id"])[:8] for row in rows}
    assert {"", "$device:"} <= prefixes
    insert_ids = [row["properties"]["$insert_id"] for row in rows]
    assert len(set(insert_ids)) == len(insert_ids) - 60
    assert 220 <= len(project.profiles) <= 280
    assert [cohort["count"] > 0 for cohort in project.cohorts] == [True, True, True, False]


def test_made_up_events_are_stored_under_their_day() -> None:
    """The day of an event is the UTC date of its time; days have 200 to 420 events."""
    project = made_up_project(last_day=date(2026, 11, 20))
    assert max(project.events) == date(2026, 11, 20)
    for day, lines in project.events.items():
        times = [json.loads(line)["properties"]["time"] for line in lines]
        assert {datetime.fromtimestamp(time, tz=timezone.utc).date() for time in times} == {day}
        assert 200 < len(lines) < 420
        assert times != sorted(times)


def test_made_up_project_has_saved_objects() -> None:
    """Funnels, reports, annotations, schemas, pipelines and groups, including unusual ones."""
    project = made_up_project(last_day=date(2026, 11, 20), days=3)
    names = {json.loads(line)["event"] for lines in project.events.values() for line in lines}
    assert all(set(funnel["steps"]) <= names for funnel in project.funnels)
    assert [report["on"] for report in project.bookmarks.values()] == [[], ["$browser"]]
    assert [len(annotation["tags"]) for annotation in project.annotations] == [1, 2, 0]
    assert [tag["has_annotations"] for tag in project.annotation_tags] == [True, True, False]
    assert {entry["entityType"] for entry in project.schemas} == {"event", "profile"}
    assert len(project.lookup_tables) == 2
    assert project.pipeline_runs.keys() == {pipeline["name"] for pipeline in project.pipelines}
    assert {key: len(rows) for key, rows in project.groups.items()} == {"-1405123841946871899": 2}
