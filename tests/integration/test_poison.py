"""A value that no database stores is repaired and reported, and its day loads."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta

import dlt

from mixpanel_sandbox import Project
from tests.support.clock import Clock, noon
from tests.support.fidelity import assert_same, read_json_rows, read_rows, served_events
from tests.support.lab import load
from tests.support.tables import select_all

DAY = date(2026, 11, 20)
MIDNIGHT_S = 1_795_132_800
EVENTS = 10_000
WIDE = ",".join(f'"wide {number}":"some text of its own {number}"' for number in range(1_700))

NO_FILLER = "event <> 'fill'"
POISON: dict[str, tuple[bytes, dict[str, int]]] = {
    "2^63": (b'"n":9223372036854775808', {"integer": 1}),
    "2^64": (b'"n":18446744073709551616', {"integer": 1}),
    "30 digits": (b'"n":123456789012345678901234567890', {"integer": 1}),
    "-2^63-1": (b'"n":-9223372036854775809', {"integer": 1}),
    "5,000 digits": (b'"n":' + b"9" * 5_000, {"integer": 1}),
    "30 digits in a list": (b'"list":[123456789012345678901234567890]', {}),
    "NUL in text": (rb'"t":"a\u0000b"', {"nul": 1}),
    "NUL in a name": (rb'"a\u0000b":1', {"nul": 1}),
    "NUL in a list": (rb'"list":[{"a\u0000":"\u0000"}]', {"nul": 2}),
    "raw NUL": (b'"t":"a\x00b"', {"nul": 1}),
    "lone surrogate": (rb'"t":"cut \ud83d"', {"surrogate": 1}),
    "lone surrogate in a name": (rb'"\ude00":1', {"surrogate": 1}),
    "lone surrogate in an object": (rb'"o":{"\ud83d":["\ud83d"]}', {"surrogate": 2}),
    "invalid UTF-8": (b'"t":"\xff\xfe"', {"utf8": 2}),
    "encoded surrogate": (b'"t":"\xed\xa0\xbd"', {"utf8": 3}),
    "NaN": (b'"f":NaN', {"not_finite": 1}),
    "Infinity": (b'"f":[-Infinity,Infinity]', {"not_finite": 2}),
    "1e400": (b'"f":1e400', {"not_finite": 1}),
    "1e400 in an object": (b'"o":{"f":-1e400}', {"not_finite": 1}),
    "2 MB of text": (b'"t":"' + b"x" * 2_000_000 + b'"', {}),
    "256 KB of list": (b'"list":' + json.dumps(["x" * 250] * 1_000).encode(), {}),
    "1,700 properties": (WIDE.encode(), {}),
    "smallest numbers": (b'"f":1e-400,"o":{"f":1e-20000}', {}),
    "largest time": (b'"time":9223372036854775807', {}),
    "no time": (b'"time":18446744073709551616', {"integer": 1}),
    "a last year": (b'"time":"9999-12-31T23:59:59-12:00"', {}),
}


def test_a_poisoned_day_loads(any_pipeline: dlt.Pipeline) -> None:
    """A day with a value of each kind loads completely, reports its repairs, and loads again."""
    project, clock = Project(events={DAY: poisoned_day()}), Clock(noon(DAY + timedelta(days=1)))
    poisoned = Project(events={DAY: [line for line in project.events[DAY] if b"fill" not in line]})
    repairs = Counter[str]()
    for _, counts in POISON.values():
        repairs.update(counts)
    for _ in range(2):
        report = load(project, any_pipeline, "export", clock=clock, properties="both")
        assert report.rows == {"export": EVENTS}
        assert len(poisoned.events[DAY]) == len(POISON)
        assert_same(served_events(poisoned), read_rows(any_pipeline, "export", where=NO_FILLER))
        loaded = read_json_rows(any_pipeline, "export", where=NO_FILLER)
        assert_same(served_events(poisoned, "json"), loaded)
    first, second = select_all(any_pipeline, "_mixpanel_loads")
    assert json.loads(first["repairs"]) == json.loads(second["repairs"]) == repairs
    assert first["values_repaired"] == second["values_repaired"] == repairs.total()


def poisoned_day() -> list[bytes]:
    """The events of a day, some of them poisoned."""
    lines = [describe(number, "fill", b'"n":1,"f":1.5,"t":"x","o":{}') for number in range(EVENTS)]
    for number, (kind, (poison, _)) in enumerate(POISON.items()):
        lines[number * 300] = describe(number, kind, poison)
    return lines


def describe(number: int, kind: str, properties: bytes) -> bytes:
    """An event as a line; of repeated properties the second counts."""
    identity = b'"time":%d,"$insert_id":"%d %s"' % (MIDNIGHT_S + number, number, kind.encode())
    return b'{"event":"%s","properties":{%s,%s}}' % (kind.encode(), identity, properties)
