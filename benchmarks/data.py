"""Makes projects of any size: wide events, seeded, much as real ones are."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

import orjson

from mixpanel_source.sandbox import Project

EVENT_TYPES = 25
PROPERTIES = 150
ON_A_ROW = 24
SECONDS_A_DAY = 86_400


def wide_project(*, days: int, events_a_day: int, last_day: date, seed: int = 1) -> Project:
    """A project of `EVENT_TYPES` event types, with `PROPERTIES` properties between them.

    One event in 200 is served twice.

    Args:
        days: how many days there are, up to `last_day`.
        events_a_day: events of each.
        last_day: the newest day (UTC).
        seed: the same seed gives the same project.
    """
    chance = random.Random(seed)
    kinds = [_properties_of_type(chance) for _ in range(EVENT_TYPES)]
    first = last_day - timedelta(days=days - 1)
    events = {
        first + timedelta(days=number): _day(
            chance, kinds, first + timedelta(days=number), events_a_day
        )
        for number in range(days)
    }
    return Project(events=events)


def _properties_of_type(chance: random.Random) -> list[int]:
    return chance.sample(range(PROPERTIES), ON_A_ROW)


def _day(chance: random.Random, kinds: list[list[int]], day: date, rows: int) -> list[bytes]:
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp())
    lines: list[bytes] = []
    for _ in range(rows):
        lines.append(_event(chance, kinds, midnight))
        if chance.random() < 1 / 200:
            lines.append(lines[-1])
    chance.shuffle(lines)
    return lines


def _event(chance: random.Random, kinds: list[list[int]], midnight: int) -> bytes:
    kind = chance.randrange(len(kinds))
    time = midnight + chance.randrange(SECONDS_A_DAY)
    properties: dict[str, Any] = {
        "time": time,
        "distinct_id": f"user-{chance.randrange(50_000)}",
        "$insert_id": f"{chance.getrandbits(96):024x}",
        "mp_processing_time_ms": time * 1000 + chance.randrange(60_000),
        "$city": chance.choice(("Oslo", "Lima", "Kyoto", "Turin")),
        "$browser": chance.choice(("Chrome", "Safari", "Firefox")),
    }
    for number in kinds[kind]:
        properties[f"property {number}"] = _value(chance, number)
    return orjson.dumps({"event": f"Event {kind}", "properties": properties})


def _value(chance: random.Random, number: int) -> Any:  # noqa: ANN401 - any JSON value
    made = _SPECIAL_VALUES.get(number % 10)
    return (
        made(chance) if made else f"value {chance.randrange(10_000)} of some length, as texts are"
    )


_SPECIAL_VALUES: dict[int, Callable[[random.Random], Any]] = {
    0: lambda chance: chance.randrange(1_000_000),
    1: lambda chance: chance.random() * 1_000,
    2: lambda chance: chance.choice((True, False)),
    3: lambda chance: [chance.randrange(100) for _ in range(3)],
    4: lambda chance: {"sku": chance.randrange(1_000), "name": "thing"},
    5: lambda _: None,
    6: lambda chance: chance.choice((1, 2.5, 3)),
}
