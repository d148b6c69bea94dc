"""What happens on the way: limits, refusals of whole requests, broken connections, restarts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mixpanel_destination.commands.importing import Importer, ImportOptions, ImportResult
from mixpanel_destination.errors import (
    ROWS_REFUSED,
    SendingPausedError,
    TooManyRefusedError,
    UncertainError,
)
from mixpanel_destination.settings import load_settings
from mixpanel_sandbox import Fault, Project
from mixpanel_source.errors import AuthError, ConfigError, MixpanelError
from tests.support.clock import Clock
from tests.support.writing import Writing, make_event, open_writing


def send(
    writing: Writing, rows: Iterable[Any], kind: str = "events", **options: Any
) -> tuple[ImportResult, Importer]:
    """Import rows by a clock that stands still, with every question answered with yes."""
    clock = Clock(now=writing.sandbox.clock())
    importer = Importer(load_settings(), ImportOptions(kind=kind, **options), clock=clock)
    lines = [json.dumps(row).encode() for row in rows]
    return importer.run(lines, lambda _: True, source="test"), importer


@pytest.mark.parametrize("name", ["ids_with_dollar", "ids_absent", "failures_as_text"])
def test_refused_rows_are_recognised(writing: Writing, name: str) -> None:
    """However Mixpanel names the refused rows, they and no others are kept as refused."""
    writing.sandbox.inject(Fault(name, times=0))
    bad = {3, 250, 251, 399}
    rows = [make_event(n, **({"time": 5} if n in bad else {})) for n in range(400)]
    result, _ = send(writing, rows)
    assert result.exit_code == ROWS_REFUSED
    assert {row.insert_id for row in writing.refused()} == {f"id-{n}" for n in bad}
    assert len(writing.events()) == 396


def test_identity_events_do_not_hold_up_the_others(writing: Writing) -> None:
    """In a project with simplified ids, one identity event costs one more request."""
    writing.project.identity = "simplified"
    rows = [make_event(n) for n in range(1999)]
    merge = {"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}}
    result, importer = send(writing, [*rows[:500], merge, *rows[500:]])
    assert result.sends[0].accepted == 1999
    assert "simplified" in writing.refused()[0].message
    assert writing.posts.count("/import") == 3  # the canary, the batch, the batch without it
    assert importer.client.retries == 0
    writing.sandbox.forget_requests()
    later = [make_event(n) for n in range(2000, 6100)]
    send(writing, [*later[:2050], merge, *later[2050:], merge], refused_share_max=1.0)
    statuses = [record.status for record in writing.sandbox.requests if record.path == "/import"]
    assert statuses.count(400) == 1


def test_requests_are_split_where_the_limit_is_lower(writing: Writing) -> None:
    """After one 413 no request is too large."""
    rows = [make_event(n, text="x" * 3000) for n in range(1500)]
    writing.sandbox.inject(Fault("413", table="import", request=2))
    result, _ = send(writing, rows)
    assert result.sends[0].accepted == 1500
    statuses = [record.status for record in writing.sandbox.requests if record.method == "POST"]
    assert statuses == [200, 413, 200, 200, 200]


def test_requests_are_split_below_any_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy may take less than Mixpanel; a row that is too large for it is refused alone."""
    with open_writing(monkeypatch, tmp_path, Project(), import_bytes=20_000) as writing:
        rows = [make_event(n, text="x" * 200) for n in range(150)]
        rows[7]["properties"]["text"] = "x" * 30_000
        result, _ = send(writing, rows)
        assert (result.sends[0].accepted, result.exit_code) == (149, ROWS_REFUSED)
        assert [row.insert_id for row in writing.refused()] == ["id-7"]


def test_waits_are_long_and_common(writing: Writing) -> None:
    """While Mixpanel refuses for its limit, waits double from 2 to 60 seconds; nothing is lost."""
    writing.sandbox.inject(Fault("429_import", table="import", times=7))
    result, importer = send(writing, [make_event(n) for n in range(150)])
    assert result.sends[0].accepted == 150
    waits = importer.client.gate.waits
    assert len(waits) == 7
    least = [2, 4, 8, 16, 32, 60, 60]
    assert all(wait >= bound for wait, bound in zip(waits, least, strict=True))
    assert len(writing.events()) == 150


def test_gives_up_after_a_while_and_continues(writing: Writing) -> None:
    """After 15 minutes without success the command ends with 75; the next one sends the rest."""
    rows = [make_event(n) for n in range(3000)]
    writing.sandbox.inject(Fault("503", table="import", request=2, times=30))
    with pytest.raises(SendingPausedError, match="run the same command"):
        send(writing, rows)
    assert writing.last.state == "stopped"
    # a dry run would have to give up what is left
    with pytest.raises(ConfigError, match="was interrupted"):
        send(writing, rows, dry_run=True)
    writing.sandbox.inject(Fault("503_empty", table="import", times=1))
    result, _ = send(writing, rows)
    (resumed,) = result.sends
    assert (resumed.state, resumed.accepted) == ("done", 3000)
    assert "were sent by run" in result.note
    assert len(writing.events()) == 3000


@pytest.mark.parametrize("name", ["502_stored", "closed", "reset", "html", "timeout"])
def test_repeated_requests_store_nothing_twice(writing: Writing, name: str) -> None:
    """Where Mixpanel may have stored a batch whose answer was lost, it is sent again."""
    writing.sandbox.inject(Fault(name, table="import", request=2, times=2))
    rows = [make_event(n, **{"$insert_id": ...}) for n in range(400)]
    result, importer = send(writing, rows)
    assert result.sends[0].accepted == 400
    assert importer.client.retries == 2
    assert len(writing.events()) == 400


def test_bad_update_does_not_hold_up_the_others(writing: Writing) -> None:
    """An update for which Mixpanel refuses the whole request is found."""
    rows = [{"$distinct_id": f"u{n}", "$set": {"n": n}} for n in range(300)]
    rows[200] = {"$distinct_id": "u200", "$union": {"n": 200}}
    result, _ = send(writing, rows, "profiles")
    assert result.sends[0].accepted == 299
    assert [row.insert_id for row in writing.refused()] == ["u200"]
    assert len(writing.project.profiles) == 299


def test_stops_where_too_much_is_refused(writing: Writing) -> None:
    """The first hundred rows decide: if more than 1 % is refused, the rest is not sent."""
    writing.project.retention_days = 2
    old = 3 * 86_400
    rows = [make_event(n) for n in range(1000)]
    for row in rows[:50]:
        row["properties"]["time"] -= old
    with pytest.raises(TooManyRefusedError, match="50 of 100"):
        send(writing, rows)
    assert len(writing.refused()) == 50
    assert len(writing.posts) == 1
    result, _ = send(writing, rows, refused_share_max=1.0)
    assert result.sends[0].accepted == 950


def test_refused_account_keeps_the_package(writing: Writing) -> None:
    """Wrong credentials end the command at once; with the right ones it continues."""
    rows = [make_event(n) for n in range(300)]
    writing.sandbox.inject(Fault("401", table="import", request=2))
    with pytest.raises(AuthError):
        send(writing, rows)
    result, _ = send(writing, rows)
    assert result.sends[0].accepted == 300


def test_increments_are_refused_unless_accepted(writing: Writing) -> None:
    """What doubles when it is repeated needs an explicit option."""
    rows = [{"$distinct_id": "u", "$add": {"n": 1}}]
    with pytest.raises(MixpanelError, match="--inexact"):
        send(writing, rows, "profiles")
    result, _ = send(writing, rows, "profiles", inexact=True)
    assert result.sends[0].accepted == 1


@pytest.mark.parametrize(("choice", "counted"), [("resend", 2), ("skip", 1)])
def test_interrupted_increments_need_a_decision(
    writing: Writing, choice: str, counted: int
) -> None:
    """Where the answer to an increment is lost, nothing is repeated until the user decides."""
    writing.sandbox.inject(Fault("502_stored", table="profile_updates"))
    rows = [{"$distinct_id": "u", "$add": {"n": 1}}]
    for _ in range(2):
        with pytest.raises(UncertainError):
            send(writing, rows, "profiles", inexact=True)
    result, _ = send(writing, rows, "profiles", inexact=True, in_flight=choice)
    assert result.sends[0].state == "done"
    (profile,) = map(json.loads, writing.project.profiles)
    assert profile["$properties"]["n"] == counted
