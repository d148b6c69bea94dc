"""`mixpanel-destination import`: what is sent, what is refused, what is shown."""

from __future__ import annotations

import gzip
import io
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixpanel_destination.errors import ROWS_REFUSED
from mixpanel_sandbox import Fault
from tests.support.writing import Writing, make_event


def bad_events(batch: int = 0) -> list[dict[str, Any]]:
    """Return an event of each kind that Mixpanel refuses."""
    deep = {"a": {"b": {"c": {"d": 1}}}}
    properties: list[dict[str, Any]] = [
        {"time": 5},
        {"time": "soon"},
        {"time": ...},
        {"time": 4_000_000_000},
        {"time": 1_500_000_000},
        {"distinct_id": "anon"},
        {"distinct_id": ...},
        {"deep": deep},
        {"list": [*range(300)]},
        {f"p{n}": n for n in range(300)},
        {"object": {str(n): n for n in range(300)}},
    ]
    first = 10_000 + 100 * batch
    events = [make_event(n + first, **values) for n, values in enumerate(properties)]
    return [*events, {"event": "", "properties": make_event(first + 50)["properties"]}]


def test_events_arrive(writing: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """Each event is stored once, with `ip` removed, its own id and its time in milliseconds."""
    rows = [make_event(n) for n in range(2500)]
    assert writing.import_("events", rows) == 0
    assert "2,500 accepted" in capsys.readouterr().out
    stored = {row["properties"]["$insert_id"]: row["properties"] for row in writing.events()}
    assert len(stored) == 2500
    assert stored["id-7"]["time"] == rows[7]["properties"]["time"] * 1000
    assert "$city" not in stored["id-7"]
    assert writing.last.state == "done"


def test_refused_rows_are_kept(writing: Writing) -> None:
    """The valid rows of a batch are stored, the others are kept with Mixpanel's words."""
    bad = [event for batch in range(3) for event in bad_events(batch)]
    rows = [make_event(n) for n in range(1963)] + bad
    assert writing.import_("events", rows) == ROWS_REFUSED
    assert len(writing.events()) == 1963
    refused = writing.refused()
    assert len(refused) == len(bad)
    messages = {row.message for row in refused if row.status}
    assert "'properties.time' is invalid: must be after 1971-01-01" in messages
    for _ in range(3):
        assert writing.import_("events", rows, "--again") == ROWS_REFUSED
        assert len(writing.refused()) == len(bad)


def test_dry_run_sends_nothing_and_predicts(
    writing: Writing, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run makes no writing request; what it expects is what Mixpanel then refuses."""
    rows = [make_event(n) for n in range(200)] + bad_events()
    assert writing.import_("events", rows, "--dry-run", "--json") == 0
    assert writing.posts == []
    staged = json.loads(capsys.readouterr().out)["staged"]
    assert writing.import_("events", rows) == ROWS_REFUSED
    assert staged["expected_refusals"] == writing.last.refused
    assert staged["not_sent"] == writing.last.skipped
    assert writing.last.refused + writing.last.skipped == 12


def test_same_rows_are_sent_once(writing: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """The same rows in another order are recognised, and sent again on demand only."""
    rows = [make_event(n) for n in range(50)]
    assert writing.import_("events", rows) == 0
    assert writing.import_("events", rows[::-1]) == 0
    assert "--again" in capsys.readouterr().out
    assert len(writing.posts) == 1
    assert writing.import_("events", rows, "--again") == 0
    assert len(writing.events()) == 50


def test_profiles_and_groups_arrive(writing: Writing) -> None:
    """Profiles and groups are set, without geolocation and without a new last-seen time."""
    profiles = [{"$distinct_id": f"u{n}", "$properties": {"plan": "pro", "n": n}} for n in range(9)]
    assert writing.import_("profiles", profiles) == 0
    stored = [json.loads(row) for row in writing.project.profiles]
    assert stored == profiles
    groups = [{"group_id": "acme", "size": 3}]
    assert writing.import_("groups", groups, "--group-key", "company") == 0
    assert writing.import_("groups", groups) == 2


def test_token_stays_out_of_everything(
    writing: Writing, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the token nor the secret is in a file or a message, also of a send that failed."""
    profiles = [{"$distinct_id": "u1", "$token": "ours", "$set": {"plan": "pro"}}]
    assert writing.import_("profiles", profiles) == 0
    writing.sandbox.inject(Fault("401", table="profile_updates"))
    assert writing.import_("profiles", [{"distinct_id": "u2", "plan": "pro"}], "--debug") == 2
    assert writing.last.state == "stopped"
    assert writing.find_secrets() == []
    shown = "".join(capsys.readouterr())
    assert writing.sandbox.secret not in shown
    assert writing.project.token not in shown


def test_forms_of_input(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines, compressed lines, a list, Parquet, a directory and standard input are read alike."""
    folder = writing.directory / "files"
    folder.mkdir()
    rows = [make_event(n) for n in range(6)]
    lines = [json.dumps(row).encode() + b"\r\n" for row in rows]
    (folder / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + lines[0] + b"\n" + lines[1])
    (folder / "b.ndjson.gz").write_bytes(gzip.compress(lines[2]))
    (folder / "c.json").write_text(json.dumps(rows[3:5], indent=2))
    flat = {"event": "Order", **rows[5]["properties"]}
    flat["time"] = datetime.fromtimestamp(flat["time"], timezone.utc)
    pq.write_table(pa.Table.from_pylist([flat]), folder / "d.parquet")
    assert writing.import_("events", folder) == 0
    stored = {row["properties"]["$insert_id"]: row["properties"] for row in writing.events()}
    assert [stored[f"id-{n}"]["time"] for n in range(6)] == [
        row["properties"]["time"] * 1000 for row in rows
    ]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines[0])))
    assert writing.import_("events", Path("-"), "--again") == 0
    assert writing.last.accepted == 1


def test_queries(
    writing: Writing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows of a query become events, with columns as properties."""
    path = str(writing.directory / "shop.duckdb")
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", path)
    with duckdb.connect(path) as database:
        database.execute(
            "CREATE TABLE orders AS SELECT 'o-' || n AS id, 'u' AS customer, n * 1.5 AS total, "
            "now()::TIMESTAMP - INTERVAL 1 DAY AS ordered_at FROM range(5) AS t(n)"
        )
    query = (
        "SELECT 'Order' AS event, id AS insert_id, ordered_at AS time, customer AS distinct_id, "
        "total, NULL AS nothing FROM main.orders"
    )
    assert writing.import_("events", Path(query)) == 0
    stored = [row["properties"] for row in writing.events()]
    assert sorted(row["total"] for row in stored) == [0, 1.5, 3, 4.5, 6]
    assert "nothing" not in stored[0]
    assert writing.import_("events", Path("orders_of_nobody")) == 1
    assert "does not exist because schema" in capsys.readouterr().err


def test_sent_events_are_left_out(writing: Writing, capsys: pytest.CaptureFixture[str]) -> None:
    """On demand, only events that no earlier run has sent are sent; refused ones are no part."""
    rows = [make_event(n) for n in range(40)]
    assert writing.import_("events", [*rows[:30], make_event(99, time=5)]) == ROWS_REFUSED
    assert writing.import_("events", [*rows, make_event(99)], "--skip-sent") == 0
    assert "30 rows left out: sent by earlier runs" in capsys.readouterr().err
    assert writing.last.accepted == 11
    assert writing.import_("events", rows, "--skip-sent") == 0
    assert writing.last.accepted == 11
    assert len(writing.events()) == 41
    assert writing.import_("profiles", [{"distinct_id": "u"}], "--skip-sent") == 2


def test_places_are_taken_on_demand(writing: Writing) -> None:
    """Only with `--locate` do events and profiles get the place of this machine's address."""
    assert writing.import_("events", [make_event(1)]) == 0
    assert writing.import_("events", [make_event(2)], "--locate") == 0
    assert writing.import_("profiles", [{"distinct_id": "a", "n": 1}]) == 0
    assert writing.import_("profiles", [{"distinct_id": "b", "n": 1}], "--locate") == 0
    located = {row["properties"]["price"]: "$city" in row["properties"] for row in writing.events()}
    assert located == {1: False, 2: True}
    assert [b"$city" in row for row in writing.project.profiles] == [False, True]
