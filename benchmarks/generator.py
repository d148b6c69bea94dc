"""Generates the events and profiles of the benchmarks: wide and varied, like real ones.

`EVENT_TYPES` types of event share `PROPERTIES` properties. Some properties of its type are in every
event and others in most, so few events have the same set. Values are strings, numbers, booleans,
lists, objects and nulls; some numbers are integers or floats by event; and one property drifts
between integers and strings.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import orjson

EVENT_TYPES = 25
PROPERTIES = 150
PROPERTIES_PER_EVENT_TYPE = 23
"""Properties of an event type, beside those of all types."""
PROPERTIES_PER_PROFILE = 26
USERS = 50_000
DISTINCT_VALUES = 4_000
"""Values of a property, generated once and then drawn from, for speed."""
ALWAYS_PRESENT = 0.6
"""Share of the properties of an event type that are in all of its events."""
DRIFTING = PROPERTIES - 1
"""Number of the property whose values are integers and strings."""
SECONDS_PER_DAY = 86_400

COMMON = {
    "time": "BIGINT",
    "distinct_id": "VARCHAR",
    "$insert_id": "VARCHAR",
    "mp_processing_time_ms": "BIGINT",
    "$city": "VARCHAR",
    "$browser": "VARCHAR",
}
"""Properties of all events -> DuckDB type."""

_CITIES = ("Oslo", "Lima", "Kyoto", "Turin")
_BROWSERS = ("Chrome", "Safari", "Firefox")


class Slot(NamedTuple):
    """A property of an event type or of profiles."""

    members: list[bytes]
    """Serialised `"name":value` for each of its values."""
    presence: float
    """Share of the events or profiles that have it."""


class PropertyType(NamedTuple):
    """A DuckDB type and a function that draws a value."""

    duckdb_type: str
    make: Callable[[random.Random], Any]


def _text(rng: random.Random) -> str:
    return f"value {rng.randrange(10_000)} of some length, as texts are"


_TEXT = PropertyType("VARCHAR", _text)
_PROPERTY_TYPES = {
    0: PropertyType("BIGINT", lambda rng: rng.randrange(1_000_000)),
    1: PropertyType("DOUBLE", lambda rng: rng.random() * 1_000),
    2: PropertyType("BOOLEAN", lambda rng: rng.choice((True, False))),
    3: PropertyType("JSON", lambda rng: [rng.randrange(100) for _ in range(3)]),
    4: PropertyType("JSON", lambda rng: {"sku": rng.randrange(1_000), "name": "thing"}),
    5: PropertyType("VARCHAR", lambda rng: rng.choice((None, "referral", "campaign"))),
    6: PropertyType("DOUBLE", lambda rng: rng.choice((1, 2.5, 3))),
}
_DRIFTING_TYPE = PropertyType("VARCHAR", lambda rng: rng.choice((rng.randrange(1_000), _text(rng))))


def property_name(number: int) -> str:
    """Return the name of a property."""
    return f"property {number}"


def property_types() -> dict[str, str]:
    """Return the DuckDB types of all properties, by name."""
    types = {
        property_name(number): _property_type(number).duckdb_type for number in range(PROPERTIES)
    }
    return COMMON | types


def make_events(midnight: int, events: int, *, seed: str) -> list[bytes]:
    """Generate the lines of a day, unordered, with a duplicate per 200 events.

    Args:
        midnight: Start of the day, epoch seconds.
        events: Number of events without duplicates.
        seed: Random seed.
    """
    rng = random.Random(seed)
    types = _event_types()
    lines = [_event(rng, types, midnight) for _ in range(events)]
    lines += rng.sample(lines, events // 200)
    rng.shuffle(lines)
    return lines


def make_profiles(first: int, profiles: int, *, seed: str) -> list[bytes]:
    """Generate profiles, numbered from `first`."""
    rng = random.Random(seed)
    slots = _slots(random.Random("profile"), PROPERTIES_PER_PROFILE)
    return [_profile(rng, slots, first + number) for number in range(profiles)]


def change_profiles(rows: list[bytes]) -> list[bytes]:
    """The same profiles, every hundredth with another name."""
    return [
        row if number % 100 else row.replace(b'"$name":"Person', b'"$name":"Renamed', 1)
        for number, row in enumerate(rows)
    ]


def _property_type(number: int) -> PropertyType:
    return _DRIFTING_TYPE if number == DRIFTING else _PROPERTY_TYPES.get(number % 10, _TEXT)


@cache
def _members(number: int) -> list[bytes]:
    rng = random.Random(number)
    make, name = _property_type(number).make, orjson.dumps(property_name(number))
    return [b"%b:%b" % (name, orjson.dumps(make(rng))) for _ in range(DISTINCT_VALUES)]


def _slots(rng: random.Random, count: int) -> list[Slot]:
    return [
        Slot(
            _members(number),
            1.0 if rng.random() < ALWAYS_PRESENT else rng.uniform(0.7, 0.95),
        )
        for number in rng.sample(range(PROPERTIES), count)
    ]


@cache
def _event_types() -> list[list[Slot]]:
    return [
        _slots(random.Random(f"event {number}"), PROPERTIES_PER_EVENT_TYPE)
        for number in range(EVENT_TYPES)
    ]


def _event(rng: random.Random, types: list[list[Slot]], midnight: int) -> bytes:
    rand = rng.random
    event_type = int(rand() * EVENT_TYPES)
    time = midnight + int(rand() * SECONDS_PER_DAY)
    return (
        b'{"event":"Event %d","properties":{"time":%d,"distinct_id":"user-%d",'
        b'"$insert_id":"%024x","mp_processing_time_ms":%d,"$city":"%b","$browser":"%b",%b}}'
    ) % (
        event_type,
        time,
        int(rand() * USERS),
        rng.getrandbits(96),
        time * 1_000 + int(rand() * 60_000),
        _CITIES[int(rand() * len(_CITIES))].encode(),
        _BROWSERS[int(rand() * len(_BROWSERS))].encode(),
        _draw(rng, types[event_type]),
    )


def _profile(rng: random.Random, slots: list[Slot], number: int) -> bytes:
    return (
        b'{"$distinct_id":"user-%d","$properties":{"$last_seen":"2026-01-%02dT12:00:00",'
        b'"$name":"Person %d","$email":"person.%d@example.com","$city":"%b",%b}}'
    ) % (
        number,
        1 + number % 28,
        number,
        number,
        _CITIES[number % len(_CITIES)].encode(),
        _draw(rng, slots),
    )


def _draw(rng: random.Random, slots: list[Slot]) -> bytes:
    rand = rng.random
    return b",".join(
        [
            members[int(rand() * DISTINCT_VALUES)]
            for members, presence in slots
            if presence == 1.0 or rand() < presence
        ]
    )
