"""After an import: `status`, `retry` and `verify`."""

from __future__ import annotations

import json

import duckdb
import pytest

from mixpanel_destination.errors import ROWS_REFUSED
from tests.support.writing import Writing, make_event


def test_status(writing: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs are listed; one in detail shows why rows were refused, and where they are."""
    assert writing.run("status") == 0
    assert "Nothing was sent" in capsys.readouterr().out
    writing.import_("events", [make_event(n) for n in range(9)] + [make_event(9, time=5)])
    capsys.readouterr()
    assert writing.run("status") == 0
    assert "10 staged, 9 accepted, 1 refused" in capsys.readouterr().out
    assert writing.run("status", "last") == 0
    shown = capsys.readouterr().out
    assert "must be after 1971-01-01: 1 row" in shown
    assert "refused.jsonl" in shown
    assert writing.run("status", "7") == 2


def test_runs_as_tables(writing: Writing) -> None:
    """Runs and refused rows are merged into a database by their keys."""
    rows = [make_event(n) for n in range(3)] + [make_event(9, time=5)]
    for _ in range(2):
        assert writing.import_("events", rows, "--again") == ROWS_REFUSED
        assert writing.run("status", "--into", "duckdb") == 0
    with duckdb.connect(str(writing.directory / "mixpanel_destination.duckdb")) as database:
        sends = database.execute("SELECT accepted, refused FROM _mixpanel_sends").fetchall()
        messages = database.execute("SELECT field, insert_id FROM _mixpanel_refused").fetchall()
    assert sends == [(3, 1), (3, 1)]
    assert messages == [("properties.time", "id-9")] * 2


def test_retry_sends_refused_rows_again(writing: Writing) -> None:
    """Once the cause is gone, the refused rows are sent, and only those."""
    writing.project.identity = "simplified"
    merge = {"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}}
    assert writing.import_("events", [make_event(1), merge]) == ROWS_REFUSED
    run = writing.last.run
    project = f"--project-id={writing.project.project_id}"
    assert writing.run("retry", run, project, "--yes") == ROWS_REFUSED
    writing.project.identity = "original"
    assert writing.run("retry", run, project, "--yes") == 0
    assert (writing.last.staged, writing.last.accepted) == (1, 1)
    assert "retry of" in writing.last.source


def test_verify_finds_every_difference(
    writing: Writing, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was removed, changed and added in the project is named, each with its key."""
    rows = [make_event(n) for n in range(300)]
    assert writing.import_("events", rows) == 0
    capsys.readouterr()
    assert writing.run("verify", "--deep") == 0
    assert "0 missing, 0 different, 0 extra" in capsys.readouterr().out
    (day,) = writing.project.events
    lines = writing.project.events[day][5:]
    lines[:3] = [line.replace(b'"price":', b'"price":1') for line in lines[:3]]
    writing.project.events[day] = lines
    for number in (1, 2):
        properties = make_event(number)["properties"]
        writing.project.add_event("Other", {**properties, "$insert_id": f"new-{number}"})
    assert writing.run("verify", "--deep", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["missing"], found["different"], found["extra"]) == (5, 3, 2)
    named = {(item["kind"], item["insert_id"]) for item in found["differences"]}
    assert ("extra", "new-1") in named
    assert len(named) == 10
    assert writing.run("verify") == 1


def test_verify_counts_other_runs(writing: Writing) -> None:
    """Events of another run on the same day are not extra; duplicates count once."""
    assert writing.import_("events", [make_event(n) for n in range(10)]) == 0
    assert writing.import_("events", [make_event(n) for n in range(5, 20)]) == 0
    assert writing.run("verify", "--deep") == 0
    assert writing.run("verify", writing.runs.sends()[0].run, "--deep") == 0


def test_verify_profiles(writing: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """Profiles that are missing, changed or were there already are named."""
    rows = [{"$distinct_id": f"u{n}", "$properties": {"plan": "pro", "n": n}} for n in range(50)]
    assert writing.import_("profiles", [*rows, {"$distinct_id": "u3", "$set": {"n": 33}}]) == 0
    assert writing.run("verify", "--deep") == 0
    del writing.project.profiles[10]
    writing.project.profiles[20] = writing.project.profiles[20].replace(b"pro", b"free")
    writing.project.add_profile("other", {"plan": "pro"})
    capsys.readouterr()
    assert writing.run("verify", "--deep") == 1
    assert "1 missing, 1 different, 1 extra" in capsys.readouterr().out
