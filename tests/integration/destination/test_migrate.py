"""`mixpanel-destination migrate`: one project into another, with a receipt."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixpanel_sandbox import Fault, Project, Sandbox
from tests.support.projects import make_recent_project
from tests.support.settings import UNLIMITED, set_environment, settings_for
from tests.support.writing import PREFIX, Writing, destination_settings

IDS = {"$identified_id": "user-1", "$anon_id": "dev-1", "distinct_id": "user-1"}


@pytest.fixture
def migration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Writing]:
    """A small project in the US, and an empty one in the EU."""
    source = make_recent_project(9)
    source.identity = "original"
    yesterday = max(source.events)
    verb = {**IDS, "time": int(time.time()) - 86_400}
    source.events[yesterday].append(json.dumps({"event": "$identify", "properties": verb}).encode())
    source.groups["-12"] = [b'{"$distinct_id":"acme","$properties":{"size":3}}']
    source.annotations.append({"id": 1, "date": "2026-01-02 00:00:00", "description": "launch"})
    target = Project(project_id=7654321, name="Copy", region="eu", identity="original")
    with Sandbox(source, others=[target], **UNLIMITED) as sandbox:
        set_environment(monkeypatch, settings_for(sandbox))
        url = sandbox.url_of("eu")
        hosts = dict.fromkeys(("base_url", "export_base_url", "ingestion_base_url"), url)
        settings = {**destination_settings(sandbox, target), **hosts, "region": "eu"}
        set_environment(monkeypatch, settings, prefix=PREFIX)
        yield Writing(sandbox, target, tmp_path)


def migrate(migration: Writing, *options: str) -> int:
    """Run the command."""
    days = sorted(migration.sandbox.project.events)
    window = () if "--range" in options else ("--range", f"{days[0]},{days[-1]}")
    return migration.run("migrate", "--project-id=7654321", "--yes", *window, *options)


def test_project_arrives(migration: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """Events, profiles, groups and annotations are in the target, which is verified."""
    assert migrate(migration, "--group", "company=-12") == 0
    shown = capsys.readouterr().out
    assert shown.count("0 missing, 0 different, 0 extra; compared by key and content") == 3
    source = migration.sandbox.project
    for day, lines in source.events.items():
        assert len(migration.project.events[day]) == len(lines)
    assert sorted(migration.project.profiles) == sorted(source.profiles)
    assert [*migration.project.groups.values()] == [*source.groups.values()]
    assert migration.project.annotations[0]["description"] == "launch"
    # nothing of what was read stays
    assert not [*migration.runs.directory.glob("from-*")]


def test_interrupted_migration_continues(migration: Writing) -> None:
    """After a failure the same command reads nothing twice and sends what is left."""
    migration.sandbox.inject(Fault("401", table="import", request=2))
    assert migrate(migration, "--steps", "identity,events,profiles") == 2
    exports = [record for record in migration.sandbox.requests if record.path.endswith("export")]
    assert len(exports) == 2
    migration.sandbox.forget_requests()
    assert migrate(migration, "--steps", "identity,events,profiles", "--no-verify") == 0
    exports = [record for record in migration.sandbox.requests if record.path.endswith("export")]
    assert exports == []
    migration.events()
    stored = sum(map(len, migration.project.events.values()))
    assert stored == sum(map(len, migration.sandbox.project.events.values()))


def test_identity_events_become_links(
    migration: Writing, capsys: pytest.CaptureFixture[str]
) -> None:
    """For simplified management an event links the ids of each identity event."""
    migration.project.identity = "simplified"
    assert migrate(migration, "--identity", "link") == 2
    arguments = ["--identity", "link", "--user-id-pattern", "user-.*", "--steps", "identity"]
    assert migrate(migration, *arguments, "--range", "2026-01-01,2027-12-31", "--dry-run") == 1
    assert migrate(migration, *arguments) == 0
    (event,) = migration.events()
    properties = event["properties"]
    assert (properties["$user_id"], properties["$device_id"]) == ("user-1", "dev-1")
    capsys.readouterr()
    assert migrate(migration, *arguments[:2], "--user-id-pattern", "nobody") == 0
    assert "1 identity events are ambiguous" in capsys.readouterr().out


def test_dry_run_sends_nothing(migration: Writing) -> None:
    """A dry run reads the source and shows; it makes no writing request."""
    assert migrate(migration, "--dry-run", "--group", "company=-12") == 0
    assert [path for path in migration.posts if "engage" not in path] == []


@pytest.mark.parametrize(
    "arguments", [["--steps", "evnts"], ["--group", "company"], ["--user-id-pattern", "("]]
)
def test_wrong_arguments(migration: Writing, arguments: list[str]) -> None:
    """Arguments are checked before the first request."""
    assert migrate(migration, *arguments) == 2
    assert migration.sandbox.requests == []
