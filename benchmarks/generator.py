"""What the events and profiles of the benchmarks look like: wide, seeded, much as real ones are.

`EVENT_TYPES` types of event share `PROPERTIES` properties. Of the properties of its type an event
has some always and others most of the time, so few events have the same set. There are texts,
numbers, booleans, lists, objects and nulls; integers among floating-point numbers; and one property
that is a number now and a text then.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import orjson

EVENT_TYPES = 25
PROPERTIES = 150
ON_AN_EVENT = 23
"""Properties of a type of event, beside those that all types have."""
ON_A_PROFILE = 26
USERS = 50_000
DISTINCT_VALUES = 4_000
"""Of a property; values are made once and drawn from, which is what makes this quick."""
ALWAYS_PRESENT = 0.6
"""Share of the properties of a type that each of its events has."""
DRIFTING = PROPERTIES - 1
"""The property that is an integer in one event and a text in another."""
SECONDS_A_DAY = 86_400

COMMON = {
    "time": "BIGINT",
    "distinct_id": "VARCHAR",
    "$insert_id": "VARCHAR",
    "mp_processing_time_ms": "BIGINT",
    "$city": "VARCHAR",
    "$browser": "VARCHAR",
}
"""The properties of all events, with their DuckDB types."""

_CITIES = ("Oslo", "Lima", "Kyoto", "Turin")
_BROWSERS = ("Chrome", "Safari", "Firefox")


class Slot(NamedTuple):
    """A property of a type of event."""

    members: list[bytes]
    """`"name":value` for each value it may have."""
    presence: float
    """Share of the events that have it."""


class Kind(NamedTuple):
    """A type of property."""

    duckdb_type: str
    make: Callable[[random.Random], Any]


def _text(chance: random.Random) -> str:
    return f"value {chance.randrange(10_000)} of some length, as texts are"


_TEXT = Kind("VARCHAR", _text)
_KINDS = {
    0: Kind("BIGINT", lambda chance: chance.randrange(1_000_000)),
    1: Kind("DOUBLE", lambda chance: chance.random() * 1_000),
    2: Kind("BOOLEAN", lambda chance: chance.choice((True, False))),
    3: Kind("JSON", lambda chance: [chance.randrange(100) for _ in range(3)]),
    4: Kind("JSON", lambda chance: {"sku": chance.randrange(1_000), "name": "thing"}),
    5: Kind("VARCHAR", lambda chance: chance.choice((None, "referral", "campaign"))),
    6: Kind("DOUBLE", lambda chance: chance.choice((1, 2.5, 3))),
}
_DRIFTING_KIND = Kind(
    "VARCHAR", lambda chance: chance.choice((chance.randrange(1_000), _text(chance)))
)


def property_name(number: int) -> str:
    """The name of a property."""
    return f"property {number}"


def property_types() -> dict[str, str]:
    """Property -> DuckDB type, for all there are: what raw DuckDB has to be told."""
    types = {property_name(number): _kind(number).duckdb_type for number in range(PROPERTIES)}
    return COMMON | types


def make_events(midnight: int, events: int, *, seed: str) -> list[bytes]:
    """The lines of a day in no order; one in 200 is there twice.

    Args:
        midnight: when the day begins, seconds since the epoch.
        events: how many, those that are there twice counted once.
        seed: the same seed gives the same lines.
    """
    chance = random.Random(seed)
    types = _event_types()
    lines = [_event(chance, types, midnight) for _ in range(events)]
    lines += chance.sample(lines, events // 200)
    chance.shuffle(lines)
    return lines


def make_profiles(first: int, profiles: int, *, seed: str) -> list[bytes]:
    """Profiles with the numbers from `first` on."""
    chance = random.Random(seed)
    slots = _slots(random.Random("profile"), ON_A_PROFILE)
    return [_profile(chance, slots, first + number) for number in range(profiles)]


def _kind(number: int) -> Kind:
    return _DRIFTING_KIND if number == DRIFTING else _KINDS.get(number % 10, _TEXT)


@cache
def _members(number: int) -> list[bytes]:
    chance = random.Random(number)
    make, name = _kind(number).make, orjson.dumps(property_name(number))
    return [b"%b:%b" % (name, orjson.dumps(make(chance))) for _ in range(DISTINCT_VALUES)]


def _slots(chance: random.Random, count: int) -> list[Slot]:
    return [
        Slot(
            _members(number),
            1.0 if chance.random() < ALWAYS_PRESENT else chance.uniform(0.7, 0.95),
        )
        for number in chance.sample(range(PROPERTIES), count)
    ]


@cache
def _event_types() -> list[list[Slot]]:
    return [_slots(random.Random(f"event {kind}"), ON_AN_EVENT) for kind in range(EVENT_TYPES)]


def _event(chance: random.Random, types: list[list[Slot]], midnight: int) -> bytes:
    rand = chance.random
    kind = int(rand() * EVENT_TYPES)
    time = midnight + int(rand() * SECONDS_A_DAY)
    return (
        b'{"event":"Event %d","properties":{"time":%d,"distinct_id":"user-%d",'
        b'"$insert_id":"%024x","mp_processing_time_ms":%d,"$city":"%b","$browser":"%b",%b}}'
    ) % (
        kind,
        time,
        int(rand() * USERS),
        chance.getrandbits(96),
        time * 1_000 + int(rand() * 60_000),
        _CITIES[int(rand() * len(_CITIES))].encode(),
        _BROWSERS[int(rand() * len(_BROWSERS))].encode(),
        _draw(chance, types[kind]),
    )


def _profile(chance: random.Random, slots: list[Slot], number: int) -> bytes:
    return (
        b'{"$distinct_id":"user-%d","$properties":{"$last_seen":"2026-01-%02dT12:00:00",'
        b'"$name":"Person %d","$email":"person.%d@example.com","$city":"%b",%b}}'
    ) % (
        number,
        1 + number % 28,
        number,
        number,
        _CITIES[number % len(_CITIES)].encode(),
        _draw(chance, slots),
    )


def _draw(chance: random.Random, slots: list[Slot]) -> bytes:
    rand = chance.random
    return b",".join(
        [
            members[int(rand() * DISTINCT_VALUES)]
            for members, presence in slots
            if presence == 1.0 or rand() < presence
        ]
    )
