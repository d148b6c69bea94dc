"""Rows of forgotten persons are recognized by hashes, and left out when a block is decoded."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.compute as pc
import pytest

from mixpanel_source.decode.blocks import read_block
from mixpanel_source.decode.decoded import Decoded, Selection
from mixpanel_source.decode.decoder import BlockDecoder
from mixpanel_source.decode.forgotten import (
    PERSON_PROPERTIES,
    SALT_BYTES,
    ForgottenIds,
    hash_id,
)
from mixpanel_source.decode.value_types import EVENT, PROFILE, RowKind

SALT, OTHER_SALT = bytes(SALT_BYTES), bytes([7]) * SALT_BYTES
FORGOTTEN = ForgottenIds([(SALT, hash_id("me", SALT)), (OTHER_SALT, hash_id("42", OTHER_SALT))])
MODES = (
    Selection(),
    Selection(only=("time", "distinct_id"), raw=True),
    Selection(only=(), digest=True, raw=True),
)


def to_dict(decoded: Decoded) -> dict[Any, list[Any]]:
    """All arrays as lists."""
    arrays: dict[Any, Any] = {
        "name": decoded.names,
        "digest": decoded.digests,
        "raw": decoded.raw_properties,
        **decoded.properties,
    }
    return {key: array.to_pylist() for key, array in arrays.items() if array is not None}


def positions(
    kind: RowKind, rows: list[dict[str, Any]], selection: Selection, small: int
) -> list[int]:
    """The rows that are left, after a check that nothing else is decoded than without the list."""
    text = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    decoder = BlockDecoder(kind, selection, forgotten=FORGOTTEN)
    decoded = decoder.decode(read_block(text, kind, small=small), start=0)
    plain = BlockDecoder(kind, selection).decode(read_block(text, kind, small=small), start=0)
    kept = plain.filter(pc.is_in(plain.positions, value_set=decoded.positions))
    assert to_dict(decoded) == to_dict(kept)
    return sorted(decoded.positions.to_pylist())


@pytest.mark.parametrize("small", [0, 10**9], ids=["compiled", "by row"])
@pytest.mark.parametrize("selection", MODES)
def test_events_are_left_out(selection: Selection, small: int) -> None:
    """Each property with an id counts, as text or as a number; other values do not."""
    given: list[dict[str, Any]] = [
        {"distinct_id": "you", "$device_id": "me?", "n": 1},
        {"distinct_id": "", "n": 2},
        {"n": 3, "name": "me"},
        {"distinct_id": "you", "$device_id": ["me"]},
        *({"distinct_id": "you", name: "me"} for name in PERSON_PROPERTIES),
        {"distinct_id": 42},
        {"distinct_id": "you", "$user_id": 42.0},
        {"distinct_id": "42"},
        {"distinct_id": 43, "$user_id": 42.5},
    ]
    rows = [{"event": "e", "properties": properties} for properties in given]
    assert positions(EVENT, rows, selection, small) == [0, 1, 2, 3, len(rows) - 1]


@pytest.mark.parametrize("small", [0, 10**9], ids=["compiled", "by row"])
@pytest.mark.parametrize("selection", MODES)
def test_profiles_are_left_out(selection: Selection, small: int) -> None:
    """The id of a profile counts, and the same properties."""
    rows: list[dict[str, Any]] = [
        {"$distinct_id": "me", "$properties": {}},
        {"$distinct_id": "you", "$properties": {"$name": "me"}},
        {"$distinct_id": "we", "$properties": {"$user_id": "me"}},
    ]
    assert positions(PROFILE, rows, selection, small) == [1]


def test_nobody_is_left() -> None:
    """A block of forgotten persons has no rows, and so no batches."""
    line = b'{"event":"e","properties":{"distinct_id":"me"}}\n'
    decoded = BlockDecoder(EVENT, forgotten=FORGOTTEN).decode(read_block(line, EVENT), start=0)
    assert decoded.row_count == 0
    assert [*decoded.iter_batches(10)] == []


def test_hashes_depend_on_the_salt() -> None:
    """The same id has another hash in another dataset, and only its own salt finds it."""
    assert hash_id("me", SALT) != hash_id("me", OTHER_SALT)
    assert len(hash_id("me", SALT)) == 64
    assert FORGOTTEN.find(["me", "42", "you"]) == {"me", "42"}
    assert not ForgottenIds([(OTHER_SALT, hash_id("me", SALT))]).find(["me"])


def test_an_empty_list_is_false() -> None:
    """Decoding asks this before it hashes anything."""
    assert not ForgottenIds()
    assert FORGOTTEN
