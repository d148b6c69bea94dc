"""Rows as they are staged: ids, times, treatment of properties, exact values."""

from __future__ import annotations

import json
import random
import re
from zoneinfo import ZoneInfo

import pytest

from mixpanel_destination.constants import FORBIDDEN_IDS
from mixpanel_destination.rows.checks import Period
from mixpanel_destination.rows.events import EventPacker
from mixpanel_destination.rows.fingerprints import served_event
from mixpanel_destination.rows.insert_ids import InsertIds
from mixpanel_destination.rows.objects import to_line
from mixpanel_destination.rows.staged import Staged
from mixpanel_destination.rows.times import from_wall_clock, to_milliseconds
from mixpanel_destination.rows.updates import UpdatePacker

NOW = 1_795_780_000.0
PERIOD = Period.at(NOW, 1825)


def pack(row: object, **options: object) -> Staged:
    """Pack one event."""
    line = row if isinstance(row, bytes) else json.dumps(row).encode()
    return EventPacker(PERIOD, **options).pack(line)  # type: ignore[arg-type]


def event(**properties: object) -> dict[str, object]:
    """An event with what it needs."""
    values = {"time": 1_795_000_000, "distinct_id": "u1", "$insert_id": "a-1", **properties}
    return {"event": "Order", "properties": values}


def sent(row: object, **options: object) -> dict[str, object]:
    """The properties that an event is sent with."""
    properties: dict[str, object] = json.loads(pack(row, **options).payload)["properties"]
    return properties


def test_values_are_sent_as_they_came() -> None:
    """Numbers of any length, repeated keys and separators inside texts are not changed."""
    line = (
        b'{"event":"A","properties":{"time":1795000000,"distinct_id":"u","$insert_id":"a",'
        b'"big":90071992547409931234567890,"f":0.1234567890123456789,"z":-0,"o":{"k":1,"k":2},'
        b'"t":"line\xe2\x80\xa8sep \\u00e9","none":null}}'
    )
    payload = pack(line).payload
    assert '"big":90071992547409931234567890,"f":0.1234567890123456789,"z":-0' in payload
    assert '"o":{"k":1,"k":2},"t":"line\u2028sep \\u00e9","none":null' in payload


@pytest.mark.parametrize(
    ("time", "milliseconds"),
    [
        (1_690_000_000, 1_690_000_000_000),
        (1_690_000_000_123, 1_690_000_000_123),
        (1_690_000_000.25, 1_690_000_000_250),
        ("2023-07-22T04:26:40Z", 1_690_000_000_000),
        ("2023-07-22 04:26:40.5", 1_690_000_000_500),
        ("soon", None),
        (True, None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_time_is_in_milliseconds(time: object, milliseconds: int | None) -> None:
    """Seconds, milliseconds and ISO 8601 text are times."""
    assert to_milliseconds(time) == milliseconds


def test_wall_clock_becomes_an_instant() -> None:
    """The clock of a project made before 2023 is that of its zone, summer time included."""
    zone = ZoneInfo("US/Pacific")
    winter, summer = 1_672_531_200_123, 1_688_169_600_000
    assert from_wall_clock(winter, zone) - winter == 8 * 3_600_000
    assert from_wall_clock(summer, zone) - summer == 7 * 3_600_000
    assert sent(event(time=winter), zone=zone)["time"] == winter + 8 * 3_600_000


def test_what_mixpanel_sets_is_removed() -> None:
    """Properties of the arrival go, and the id before a merge takes the place of the later one."""
    row = event(
        **{
            "distinct_id": "merged",
            "$distinct_id_before_identity": "before",
            "mp_processing_time_ms": 1,
            "$import": True,
            "$mp_api_endpoint": "x",
            "$import_failure_reason": "x",
            "mp_lib": "web",
        }
    )
    assert sent(row) == {
        "time": 1_795_000_000_000,
        "distinct_id": "before",
        "$insert_id": "a-1",
        "mp_lib": "web",
        "ip": 0,
    }
    assert sent(row, keep_arrival=True)["source_processed_ms"] == 1


def test_hot_shard_events_are_restored() -> None:
    """The original name and id come back."""
    row = event(mp_original_event_name="Ping", mp_original_distinct_id="bot", distinct_id="")
    row["event"] = "$hotshard_events"
    staged = pack(row)
    assert staged.event == "Ping"
    assert json.loads(staged.payload)["properties"]["distinct_id"] == "bot"


def test_made_ids_do_not_depend_on_the_order() -> None:
    """Ids made from content are valid, the same in any order, and different for equal rows."""
    rows = [event(**{"$insert_id": None, "n": n % 900}) for n in range(1000)]
    ids = []
    for seed in (1, 2):
        random.Random(seed).shuffle(rows)  # noqa: S311 - an order, not a secret
        packer = EventPacker(PERIOD)
        ids.append({packer.pack(json.dumps(row).encode()).insert_id for row in rows})
    assert ids[0] == ids[1]
    assert len(ids[0]) == 1000
    assert all(re.fullmatch("[A-Za-z0-9-]{1,36}", made) for made in ids[0])
    assert not ids[0] & FORBIDDEN_IDS


@pytest.mark.parametrize("given", ["a:b", "x" * 37, "anon", "0", "naïve", "a b", 7.5])
def test_invalid_ids_are_replaced(given: object) -> None:
    """The same invalid id always becomes the same valid one."""
    made = InsertIds().of(given, b"")
    assert re.fullmatch("[a-f0-9]{36}", made)
    assert made == InsertIds().of(given, b"other content")
    assert InsertIds("salt").of("valid", b"") not in ("valid", made)
    assert InsertIds().of("valid-ID-1", b"") == "valid-ID-1"


def test_content_is_that_of_the_served_event() -> None:
    """What Mixpanel adds or changes makes no difference; everything else does."""
    staged = pack(event(price=1.5, tags=["a", None]))
    served = json.loads(staged.payload)
    properties = {
        **served["properties"],
        "mp_processing_time_ms": 5,
        "$import": True,
        "$city": "Ashburn",
        "time": 1_795_000_000,
        "distinct_id": "merged",
        "$distinct_id_before_identity": "u1",
    }
    del properties["ip"]
    found = served_event(json.dumps({"event": "Order", "properties": properties}).encode())
    assert (found.key, found.content, found.day) == (staged.key, staged.content, staged.day)
    other = {"event": "Order", "properties": {**properties, "price": 2}}
    assert served_event(json.dumps(other).encode()).content != found.content


@pytest.mark.parametrize("line", [b"7", b"[]", b"{}", b'{"event":"A"}', b'{"event', b'{"a":\xff}'])
def test_what_is_no_event_is_held(line: bytes) -> None:
    """Such a row is not sent, and does not stop the others."""
    staged = pack(line)
    assert staged.held
    assert staged.problem


def test_lone_surrogates_and_nan_are_repaired() -> None:
    """Values that are no JSON are changed as little as possible, and counted."""
    packer = EventPacker(PERIOD)
    line = rb'{"event":"A","properties":{"time":1795000000,"distinct_id":"u","x":NaN,"y":"\ud800"}}'
    properties = json.loads(packer.pack(line).payload)["properties"]
    assert (properties["x"], properties["y"]) == ("NaN", "\ufffd")
    assert packer.changes["values repaired (not_finite)"] == 1


def test_rows_of_tables_become_events() -> None:
    """JSON text is taken over as it is; otherwise each column is a property."""
    raw = to_line({"event": "A", "properties": '{"big":12345678901234567890123}', "_dlt_id": "x"})
    assert raw == b'{"event":"A","properties":{"big":12345678901234567890123}}'
    flat = json.loads(to_line({"event": "A", "insert_id": "x", "plan": None, "event_key": "k"}))
    assert flat == {"event": "A", "properties": {"$insert_id": "x"}}


def test_updates() -> None:
    """A profile becomes an update; what Mixpanel maintains is left out."""
    row = {"$distinct_id": 7, "$properties": {"$last_seen": "x", "plan": None, "n": 1}}
    staged = UpdatePacker().pack(json.dumps(row).encode())
    assert json.loads(staged.payload) == {
        "$ip": "0",
        "$ignore_time": True,
        "$distinct_id": "7",
        "$set": {"plan": None, "n": 1},
    }
    flat = UpdatePacker("union").pack(b'{"distinct_id":"u","tags":"a","none":null}')
    assert json.loads(flat.payload)["$union"] == {"tags": ["a"]}
    assert UpdatePacker().pack(b'{"$distinct_id":"u","$delete":""}').held
    assert UpdatePacker().pack(b'{"plan":"pro"}').held
    assert UpdatePacker(group_key="k").pack(b'{"$group_id":"u","$add":{"n":1}}').held
