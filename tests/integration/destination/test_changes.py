"""The commands that make single changes, against the sandbox."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mixpanel_destination import cli
from mixpanel_destination.api.client import Client
from mixpanel_destination.commands.changes import chart_annotations, lexicon, persons
from mixpanel_destination.commands.changes.base import Work
from mixpanel_destination.errors import UncertainError
from mixpanel_destination.settings import load_settings
from mixpanel_sandbox import OAUTH_TOKEN, Fault, Project, Sandbox, made_up_project
from mixpanel_source import cli as source_cli
from tests.support.clock import Clock
from tests.support.writing import Writing, open_writing

TABLE = "0a7f1d1c-5a3e-4f0e-9a65-1a3b5c7d9e01"
ANONYMOUS = "3b1f4a52-7c0e-4a52-9d1e-2f6a7b8c9d0e"
PIPELINE = "events-daily-bigquery-monoschema"


@pytest.fixture
def project() -> Project:
    """A made-up project of today."""
    return made_up_project(last_day=datetime.now(timezone.utc).date(), days=1)


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Project) -> Iterator[Writing]:
    """The project, with an OAuth token in the settings."""
    monkeypatch.setenv("DESTINATION__MIXPANEL__OAUTH_TOKEN", OAUTH_TOKEN)
    # a look at this clock takes a second: no limit of a second is ever exceeded
    ticks = count(time.time())
    with open_writing(monkeypatch, tmp_path, project, clock=lambda: next(ticks)) as writing:
        yield writing


def change(town: Writing, *arguments: str | Path, yes: str = "--yes") -> int:
    """Run a command on the project, without a question."""
    return town.run(*arguments, f"--project-id={town.project.project_id}", yes)


def written(town: Writing) -> list[tuple[str, str]]:
    """Return method and path of the requests that wrote something."""
    # /import with an event that is refused only checks the token
    return [
        (record.method, record.path)
        for record in town.sandbox.requests
        if record.method != "GET" and not (record.path == "/import" and record.status == 400)
    ]


def save(directory: Path, name: str, rows: Iterable[Any]) -> Path:
    """Write a file of JSON lines."""
    path = directory / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers(monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    """Answer the questions of a command on a terminal."""
    remaining = list(texts)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _question: remaining.pop(0))


def test_profiles_are_deleted(town: Writing, tmp_path: Path) -> None:
    """Those named and those in a file; what they did stays."""
    ids = [json.loads(row)["$distinct_id"] for row in town.project.profiles]
    path = tmp_path / "ids.txt"
    path.write_text(f"{ids[1]}\r\n\n{ids[2]}")
    assert change(town, "profiles", "delete", ids[0], "--from", path, yes="--yes-destroy") == 0
    left = [json.loads(row)["$distinct_id"] for row in town.project.profiles]
    assert left == ids[3:]
    assert written(town) == [("POST", "/engage")]


def test_refused_deletions_are_named(town: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """The batch is halved until the refused one is alone; all others are deleted."""
    town.sandbox.inject(Fault("status_0", table="profile_updates", times=3))
    ids = [json.loads(row)["$distinct_id"] for row in town.project.profiles][:4]
    assert change(town, "profiles", "delete", *ids, yes="--yes-destroy") == 65
    assert "3 deletions accepted" in capsys.readouterr().out
    left = {json.loads(row)["$distinct_id"] for row in town.project.profiles}
    assert left & {*ids} == {ids[0]}


def test_groups_are_deleted(town: Writing) -> None:
    """By the name of their group key."""
    (number,) = town.project.groups
    town.project.group_keys = {"company": number}
    arguments = ("groups", "delete", "acme", "--group-key", "company")
    assert change(town, *arguments, yes="--yes-destroy") == 0
    assert [json.loads(row)["$distinct_id"] for row in town.project.groups[number]] == [4711]


def test_identities(town: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is an event of its kind; a simplified project refuses to merge."""
    town.project.identity = "original"
    town.project.events.clear()
    identify = ("identity", "identify", "--anonymous", ANONYMOUS, "--user", "u1")
    assert change(town, *identify) == 0
    assert change(town, "identity", "alias", "--distinct-id", "u1", "--alias", "a1") == 0
    assert change(town, "identity", "merge", "u1", "u2") == 0
    found = {event["event"]: event["properties"] for event in town.events()}
    assert found.keys() == {"$identify", "$create_alias", "$merge"}
    assert found["$identify"]["$anon_id"] == ANONYMOUS
    assert found["$merge"]["$distinct_ids"] == ["u1", "u2"]
    town.project.identity = "simplified"
    assert change(town, "identity", "merge", "u1", "u2") == 65
    assert "simplified identity management" in capsys.readouterr().err


def entry(name: str, **metadata: Any) -> dict[str, Any]:
    """Return an entry of the Lexicon."""
    described = {"description": name, "metadata": {"com.mixpanel": metadata}}
    return {"entityType": "event", "name": name, "schemaJson": described}


def test_lexicon_entries_are_pushed(town: Writing, tmp_path: Path) -> None:
    """As JSON or as lines; nothing else is touched."""
    before = list(town.project.schemas)
    path = save(tmp_path, "lexicon.jsonl", [entry("A", displayName="One"), entry("B")])
    assert change(town, "lexicon", "push", path) == 0
    assert town.project.schemas == [*before, entry("A", displayName="One"), entry("B")]
    path.write_text(json.dumps({"entries": [entry("A", hidden=True)]}))
    assert change(town, "lexicon", "push", path) == 0
    assert change(town, "lexicon", "push", path, "--truncate", yes="--yes-destroy") == 0
    assert town.project.schemas == [entry("A", hidden=True)]


@pytest.mark.parametrize("nested", [False, True])
def test_dropping_events_is_asked_twice(
    town: Writing, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, nested: bool
) -> None:
    """Also where only a property is dropped."""
    dropping = entry("A", dropped=True)
    if nested:
        properties = {"p": {"type": "string", **{"metadata": {"com.mixpanel": {"dropped": True}}}}}
        dropping = {**entry("A"), "schemaJson": {"properties": properties}}
    path = save(tmp_path, "lexicon.json", [dropping])
    assert change(town, "lexicon", "push", path) == 2
    assert f"dropped at ingestion: A{'.p' if nested else ''}" in capsys.readouterr().err
    assert written(town) == []
    assert change(town, "lexicon", "push", path, yes="--yes-destroy") == 0


def run_work(work: Work, clock: Clock) -> dict[str, Any]:
    """Carry out a change without its questions."""
    client = Client(load_settings(), clock=clock)
    plan = work.plan(client)
    assert plan.send is not None
    return dict(plan.send().facts)


def test_large_lexicons_are_pushed_in_parts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Project
) -> None:
    """Within both limits of a minute; only the first part empties the Lexicon."""
    entries = [entry(str(number)) for number in range(8000)]
    path = save(tmp_path, "lexicon.jsonl", entries)
    clock = Clock()
    with open_writing(monkeypatch, tmp_path, project, clock=clock.time):
        facts = run_work(lexicon.push(str(path), truncate=True), clock)
    assert facts["added"] == len(project.schemas) == 8000
    assert clock.sleeps == [60, 60]
    assert [lexicon.pause_after(number) for number in (1, 800, 3000)] == [12, 13, 46]


def test_annotations_are_added_once(
    town: Writing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is there, with the same date and description, is skipped; tags are made."""
    before = len(town.project.annotations)
    one = ("--date", "2026-11-02", "--description", "Launch", "--tag", "release", "--tag", "new")
    assert change(town, "annotations", "add", *one) == 0
    assert change(town, "annotations", "add", *one) == 0
    assert "Nothing to do" in capsys.readouterr().out
    added = town.project.annotations[before:]
    assert [(one["date"], one["description"]) for one in added] == [
        ("2026-11-02 00:00:00", "Launch")
    ]
    assert [tag["name"] for tag in added[0]["tags"]] == ["release", "new"]
    rows = [
        {"date": "2026-11-02", "description": "Launch"},
        {"date": "2026-11-02T10:00:00", "description": "Launch"},
        {"date": "2026-11-02 10:00:00", "description": "Launch"},
    ]
    path = save(tmp_path, "annotations.jsonl", rows)
    assert change(town, "annotations", "add", "--from", path, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result == {"added": 1, "skipped": 1, "tags": 0, "refused": []}


@pytest.mark.parametrize("fault", ["closed", "502_stored", "502"])
def test_annotations_are_added_once_whatever_is_lost(town: Writing, fault: str) -> None:
    """If there is no answer, it is looked whether the annotation is there."""
    before = len(town.project.annotations)
    town.sandbox.inject(Fault(fault, table="annotation_changes"))
    wanted = chart_annotations.parse("2026-11-02", "Launch")
    assert run_work(chart_annotations.add([wanted]), Clock())["added"] == 1
    assert len(town.project.annotations) == before + 1


def test_annotations_are_edited_and_deleted(
    town: Writing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The question shows which one it is; tags that do not exist are refused."""
    number = town.project.annotations[0]["id"]
    edit = ("annotations", "edit", str(number))
    assert change(town, *edit, "--description", "Changed", "--tag", "bug") == 0
    assert town.project.annotations[0]["description"] == "Changed"
    assert [tag["name"] for tag in town.project.annotations[0]["tags"]] == ["bug"]
    assert change(town, *edit, "--tag", "none such") == 2
    answers(monkeypatch, str(town.project.project_id), "destroy")
    project = f"--project-id={town.project.project_id}"
    assert town.run("annotations", "delete", str(number), project) == 0
    assert f'In project {town.project.project_id} ("Sandbox", US)' in capsys.readouterr().err
    assert number not in [one["id"] for one in town.project.annotations]
    assert change(town, "annotations", "delete", str(number), yes="--yes-destroy") == 1


def test_lookup_tables_are_replaced(town: Writing, tmp_path: Path) -> None:
    """By the name or the id of the table."""
    path = tmp_path / "table.csv"
    path.write_text('id,name\n1,"a\nb"\n2,ü\n')
    assert change(town, "lookup-table", "replace", TABLE, path) == 0
    assert town.project.lookup_contents == {TABLE: path.read_text()}
    path.write_text("id\n1\n")
    assert change(town, "lookup-table", "replace", "Product Catalogue", path) == 0
    assert town.project.lookup_contents == {TABLE: "id\n1\n"}


def test_pipelines(town: Writing, tmp_path: Path) -> None:
    """They are created, edited, paused, resumed and cancelled by name."""
    today = datetime.now(timezone.utc).date()
    secret = tmp_path / "bucket"
    secret.write_text("bucket-1\n")
    fields = (f"from_date={today}", f"gcs_bucket=@{secret}", "gcs_region=eu", "events=A")
    options = [part for field in fields for part in ("-p", field)]
    assert change(town, "pipelines", "create", "--type", "gcs-raw", *options) == 0
    (name,) = {one["name"] for one in town.project.pipelines} - {PIPELINE}
    assert change(town, "pipelines", "edit", name, "-p", "events=A", "-p", "events=B") == 0
    assert change(town, "pipelines", "pause", name) == 0
    created = town.project.pipelines[-1]
    assert (created["events"], created["paused"]) == ('["A", "B"]', True)
    assert change(town, "pipelines", "resume", name) == 0
    assert change(town, "pipelines", "cancel", name, yes="--yes-destroy") == 0
    assert [one["name"] for one in town.project.pipelines] == [PIPELINE]


def test_pipelines_are_created_once(town: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """If there is no answer, the command says so instead of creating another one."""
    town.sandbox.inject(Fault("closed", table="pipeline_changes"))
    create = ("pipelines", "create", "--type", "bigquery", "-p", "trial=true")
    assert change(town, *create) == 1
    assert "It may have been carried out" in capsys.readouterr().err
    assert len(town.project.pipelines) == 2


def test_persons(town: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """Requests about persons are put in, and a deletion is cancelled."""
    assert change(town, "gdpr", "retrieve", "u1", "--compliance", "CCPA") == 0
    capsys.readouterr()
    assert change(town, "gdpr", "delete", "u1", "u2", "--json", yes="--yes-destroy") == 0
    result = json.loads(capsys.readouterr().out)
    (task,) = result["task_ids"]
    job = town.project.gdpr_jobs[task]
    assert (job["kind"], job["distinct_ids"]) == ("deletion", ["u1", "u2"])
    assert change(town, "gdpr", "cancel", task) == 0
    assert job["status"] == "REVOKED"


def test_many_persons_are_requested_in_parts(town: Writing) -> None:
    """A second apart; a failure names the parts that were accepted."""
    clock = Clock()
    ids = [str(number) for number in range(2500)]
    facts = run_work(persons.delete(ids, compliance="GDPR"), clock)
    assert [len(job["distinct_ids"]) for job in town.project.gdpr_jobs.values()] == [1999, 501]
    assert facts["task_ids"] == [*town.project.gdpr_jobs]
    assert clock.sleeps == [1.0]
    town.sandbox.inject(Fault("closed", table="gdpr", request=4))
    with pytest.raises(Exception, match=r"The first 1,999 were accepted as job-\w+\.") as caught:
        run_work(persons.delete(ids, compliance="GDPR"), clock)
    assert isinstance(caught.value.__cause__, UncertainError)


def test_other_requests(town: Writing, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The body is sent as it is, but for the token; the answer is printed."""
    body = save(tmp_path, "tag.json", [])
    body.write_text('{"name": "sale"}')
    path = "/api/app/projects/{project_id}/annotations/tags"
    assert change(town, "request", "post", path, "--data", body) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "sale"
    update = {"$token": "{token}", "$distinct_id": "new", "$set": {"a": 1}}
    body = save(tmp_path, "update.json", [update])
    assert change(town, "request", "POST", "/engage", "--data", body, "-p", "verbose=1") == 0
    assert json.loads(town.project.profiles[-1])["$distinct_id"] == "new"
    bad = save(tmp_path, "bad.json", [{"$token": "{token}", "$set": {}}])
    assert change(town, "request", "POST", "/engage", "--data", bad, "-p", "verbose=1") == 1
    path = "/api/app/projects/{project_id}/schemas/profile"
    assert change(town, "request", "DELETE", path) == 2
    assert change(town, "request", "DELETE", path, yes="--yes-destroy") == 0
    capsys.readouterr()
    data = save(tmp_path, "ids.json", [])
    data.write_text('{"distinct_ids": ["u1"]}')
    assert change(town, "request", "POST", "/api/app/data-retrievals/v3.0", "--data", data) == 0
    output = capsys.readouterr()
    assert "task_id" in output.out
    assert town.project.token not in output.out + output.err


def test_a_dry_run_changes_nothing(town: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows what would be done, even without a terminal."""
    one = ("--date", "2026-11-02", "--description", "Launch")
    assert change(town, "annotations", "add", *one, yes="--dry-run") == 0
    assert change(town, "profiles", "delete", "u1", yes="--dry-run") == 0
    shown = capsys.readouterr().err
    assert "Add 1 annotation; 0 already there" in shown
    assert "Delete 1 profile (u1). Their events stay." in shown
    assert "This destroys 1 profile (u1), for good." in shown
    assert written(town) == []


@pytest.mark.parametrize("typed", [("no",), ("1234567", "yes"), ()])
def test_a_no_changes_nothing(
    town: Writing, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...]
) -> None:
    """Whatever is typed but the number of the project and then the word."""

    def answer(_question: str, remaining: list[str] = [*typed]) -> str:  # noqa: B006 - kept on purpose
        if not remaining:
            raise EOFError
        return remaining.pop(0)

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    project = f"--project-id={town.project.project_id}"
    assert town.run("profiles", "delete", "u1", project) == 1
    assert town.run("profiles", "delete", "u1", project, "--yes") == 1
    assert written(town) == []


def test_the_sandbox_serves_a_project_to_write_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`mixpanel-source sandbox --target` prints the settings that write to it."""

    def write(sandbox: Sandbox) -> None:
        for name, value in re.findall(r"^export (\w+)=(\S+)$", capsys.readouterr().out, re.M):
            monkeypatch.setenv(name, value)
        arguments = ("annotations", "add", "--date", "2026-11-02", "--description", "x", "--yes")
        (target,) = sandbox.others
        assert cli.main([*arguments, f"--project-id={target.project_id}"]) == 0
        assert f'project {target.project_id} ("Empty", EU)' in capsys.readouterr().err
        assert [one["description"] for one in target.annotations] == ["x"]

    monkeypatch.setattr(Sandbox, "serve_forever", write)
    assert source_cli.main(["sandbox", "--port", "0", "--target"]) == 0
