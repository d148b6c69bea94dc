"""When requests may be sent, and what replies mean."""

from __future__ import annotations

import json

import pytest

from mixpanel_destination import constants
from mixpanel_destination.api.call import Reply
from mixpanel_destination.api.gate import Gate, Pace
from mixpanel_destination.api.replies import (
    Verdict,
    check_import,
    check_update,
    read_import,
    read_update,
)
from mixpanel_destination.errors import SendingPausedError
from mixpanel_source.errors import ServerError
from tests.support.clock import Clock


def make_reply(body: object, status: int = 200) -> Reply:
    """A reply of Mixpanel."""
    return Reply(status, json.dumps(body).encode())


def test_one_disturbance_counts_once() -> None:
    """Of ten requests under way only the first to fail closes the gate."""
    clock = Clock()
    gate = Gate(clock, jitter=max)
    steps = [gate.wait(lambda: None) for _ in range(10)]
    waits = [gate.failed(step, why="x") for step in steps]
    assert waits == [constants.BACKOFF_SECONDS + constants.JITTER_SECONDS, *[0] * 9]
    gate.wait(lambda: None)
    assert clock.sleeps == [5.0]


def test_waits_double_until_success() -> None:
    """From 2 to 60 seconds, and from the start again after a success."""
    gate = Gate(Clock(), jitter=min)
    waits = [gate.failed(gate.wait(lambda: None), why="x") for _ in range(7)]
    assert waits == [2, 4, 8, 16, 32, 60, 60]
    gate.succeeded()
    assert gate.failed(gate.wait(lambda: None), why="x") == 2
    assert gate.failed(gate.wait(lambda: None), why="x", retry_after_s=100) == 100


def fail_often(gate: Gate) -> None:
    """Let a hundred tries fail, each as soon as it may be made."""
    for _ in range(100):
        gate.failed(gate.wait(lambda: None), why="x")


def test_patience_ends() -> None:
    """After 15 minutes without success sending stops."""
    clock = Clock()
    gate = Gate(clock)
    began = clock.now
    with pytest.raises(SendingPausedError, match="kept"):
        fail_often(gate)
    assert clock.now - began <= constants.PATIENCE_SECONDS


def test_pace_is_kept() -> None:
    """Rows per second and bytes per minute are both limits; none is made up for a pause."""
    clock = Clock()
    pace = Pace(15_000, clock)
    began = clock.now
    for _ in range(451):
        pace.wait(rows=2_000, size=1_000_000)
    assert clock.now - began == pytest.approx(60)
    began = clock.now
    for _ in range(101):
        pace.wait(rows=10, size=10_000_000)
    assert clock.now - began == pytest.approx(60, abs=0.5)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"code": 200, "num_records_imported": 2, "status": "OK"}, {}),
        (400, {"failed_records": [{"index": 1, "field": "f", "message": "m"}]}, {1: "m"}),
        (400, {"failed_records": [{"$insert_id": "b", "message": "m"}]}, {1: "m"}),
        (400, {"failed_records": [{"insert_id": "a", "message": "m"}]}, {0: "m"}),
        (400, {"failed_records": [{"message": "m"}]}, None),
        (400, {"failed_records": ["m"]}, None),
        (400, {"error": "m"}, None),
        (200, {"code": 200, "error": "m", "num_records_imported": 0, "status": 0}, None),
    ],
)
def test_refused_events(status: int, body: object, expected: dict[int, str] | None) -> None:
    """Refused rows are found by index or id; otherwise nothing is known by row."""
    verdict = read_import(make_reply(body, status), ["a", "b"])
    if expected is None:
        assert verdict.whole is not None
        assert verdict.whole.message == "m"
    else:
        assert verdict.whole is None
        assert {n: why.message for n, why in verdict.refused.items()} == expected


def test_refused_updates() -> None:
    """An update request is stored or refused as a whole, unless records are named."""
    assert read_update(make_reply(1), ["u"]) == Verdict()
    assert read_update(make_reply({"error": None, "status": 1}), ["u"]) == Verdict()
    refused = read_update(make_reply({"error": "m", "status": 0}), ["u"])
    assert refused.whole is not None
    named = make_reply({"failed_records": [{"index": 0, "message": "m"}], "status": 0})
    assert [*read_update(named, ["u"]).refused] == [0]


def test_limits_of_size() -> None:
    """The limit is the number in the reply."""
    text = {"error": "request exceeds max limit of 2097152 bytes"}
    assert read_import(make_reply(text, 413), []).limit == 2_097_152
    assert read_update(make_reply("too large", 413), []).limit == 0


def test_pages_of_proxies_are_no_answers() -> None:
    """Status 200 alone does not mean that Mixpanel has stored anything."""
    with pytest.raises(ServerError):
        check_import(Reply(200, b"<html>"))
    with pytest.raises(ServerError):
        check_update(Reply(200, b"<html>"))
    check_import(make_reply({}))
    check_update(make_reply(0))
