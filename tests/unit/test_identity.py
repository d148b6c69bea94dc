"""Which rows are duplicates: their keys, and which of them is kept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.decode.event_time import EPOCH_ORDINAL
from mixpanel_source.decode.index.identity import (
    KEY_BYTES,
    EventIdentifier,
    Identities,
    ProfileIdentifier,
    RowIdentifier,
    first_given,
)
from mixpanel_source.decode.index.row_index import RowIndex
from mixpanel_source.decode.value_types import EVENT
from mixpanel_source.windows import DAY, Window

DAY_S = 86_400
TODAY = date(2026, 11, 20)
WINDOW = Window(TODAY, TODAY + DAY)
FIRST, LAST = (day.toordinal() - EPOCH_ORDINAL for day in WINDOW)
NOON = FIRST * DAY_S + DAY_S // 2


def event(name: str = "Plan chosen", /, **properties: Any) -> bytes:
    """A line with a `$insert_id`; properties that are None are left out."""
    row = {"time": NOON, "distinct_id": "u1", "insert_id": "i1", **properties}
    given = {NAMES.get(key, key): value for key, value in row.items() if value is not None}
    return json.dumps({"event": name, "properties": given}, sort_keys=True).encode()


NAMES = {
    "insert_id": "$insert_id",
    "sent_id": "$distinct_id_before_identity",
    "preshuffle_id": "$preshuffle_distinct_id",
    "reshuffled": "$is_reshuffled",
    "processed": "mp_processing_time_ms",
}


def filed_days(index: RowIndex) -> list[int]:
    """The days that the rows are filed under, in days since 1970-01-01."""
    days: list[int] = index.date_array(pa.array(range(len(index)))).cast(pa.int32()).to_pylist()
    return days


def settled(lines: Iterable[bytes], identifier: RowIdentifier | None = None) -> RowIndex:
    """The index of a window of these lines."""
    identifier = identifier or EventIdentifier()
    index = RowIndex()
    rows = [identifier.of_line(line) for line in lines]
    identities = Identities.empty(len(rows))
    for number, row in enumerate(rows):
        identities.put(number, row)
    index.extend(identities)
    index.window = WINDOW if identifier.kind is EVENT else None
    index.resolve_duplicates()
    return index


def keys(index: RowIndex) -> list[str]:
    """The keys of the rows that are kept, in the order of the lines."""
    kept = [position for position in range(len(index)) if position not in index.dropped]
    found: list[str] = index.hex_keys(pa.array(kept, pa.int64())).to_pylist()
    return found


def key_of(line: bytes) -> str:
    """The key of an event that is alone in its window."""
    return keys(settled([line]))[0]


def test_key_is_text_of_fixed_length() -> None:
    """A key is hexadecimal, with two digits for each byte."""
    assert len(key_of(event())) == 2 * KEY_BYTES
    assert int(key_of(event()), 16) > 0


@pytest.mark.parametrize(
    "change",
    [
        {"processed": 1_795_000_000_000},
        {"distinct_id": "u2", "sent_id": "u1"},
        {"distinct_id": "u2", "preshuffle_id": "u1"},
        {"distinct_id": "u2", "preshuffle_id": "u1", "reshuffled": True},
        {"distinct_id": "u3", "preshuffle_id": "u2", "sent_id": "u1"},
    ],
    ids="+".join,
)
@pytest.mark.parametrize("insert_id", ["i1", None, ""])
def test_processing_again_keeps_the_key(change: dict[str, Any], insert_id: str | None) -> None:
    """An event keeps its key when its user is merged, with or without `$insert_id`."""
    assert key_of(event(insert_id=insert_id, **change)) == key_of(event(insert_id=insert_id))


@pytest.mark.parametrize(
    ("line", "other"),
    [
        pytest.param(event("A"), event("B"), id="name"),
        pytest.param(event(), event(insert_id="i2"), id="insert-id"),
        pytest.param(event(), event(distinct_id="u2"), id="user"),
        pytest.param(event(), event(time=NOON + DAY_S), id="day"),
        pytest.param(event(insert_id=None), event(insert_id=None, plan="pro"), id="content"),
        pytest.param(event(insert_id=None), event(insert_id=None, time=NOON + 1), id="second"),
        pytest.param(event(insert_id=None, n=1), event(insert_id=None, n="1"), id="type"),
        pytest.param(event(insert_id=None), event(), id="no-insert-id"),
    ],
)
def test_different_events(line: bytes, other: bytes) -> None:
    """Events differ by name, user, `$insert_id` and day; without `$insert_id` by content."""
    assert key_of(line) != key_of(other)
    assert len(keys(settled([line, other]))) == 2


def test_other_properties_do_not_matter_beside_an_insert_id() -> None:
    """Of two events with the same `$insert_id` and day, the later one is a correction."""
    assert key_of(event(plan="pro", time=NOON + 60)) == key_of(event(plan="free"))


def test_order_of_properties_does_not_matter() -> None:
    """The order of keys does not matter, also with an integer that takes the slow path."""
    row = {"time": NOON, "distinct_id": "u1", "list": [{"a": 1, "b": 2**70}], "c": 1.5}
    line = json.dumps({"event": "A", "properties": row}).encode()
    row["list"] = [{"b": 2**70, "a": 1}]
    other = json.dumps({"properties": dict(reversed(row.items())), "event": "A"}).encode()
    assert key_of(line) == key_of(other)


@given(processed=st.lists(st.none() | st.integers(0, 5), min_size=1, max_size=8))
def test_latest_duplicate_is_kept(processed: list[int | None]) -> None:
    """The duplicate processed last is kept; of those processed together, the last line."""
    index = settled([event(processed=at) for at in processed])
    ranks = [at or 0 for at in processed]
    latest = max(range(len(ranks)), key=lambda position: (ranks[position], position))
    assert {*index.dropped} == set(range(len(processed))) - {latest}
    assert keys(index) == [key_of(event())]


def test_one_insert_id_on_two_days() -> None:
    """Two days make two events, as in Mixpanel."""
    index = settled([event(), event(time=NOON + DAY_S)])
    assert not len(index.dropped)
    assert len(set(keys(index))) == 2


@given(st.data())
def test_keys_do_not_depend_on_the_order_of_lines(data: st.DataObject) -> None:
    """In any order of the lines, each event has the same key."""
    events = st.builds(
        event,
        insert_id=st.sampled_from((None, "i1", "i2")),
        time=st.sampled_from((NOON, NOON + DAY_S)),
        plan=st.sampled_from(("free", "pro")),
        processed=st.integers(1, 4),
    )
    lines = data.draw(st.lists(events, max_size=12))
    shuffled = data.draw(st.permutations(lines))

    def keyed(lines: list[bytes]) -> Counter[tuple[str, bytes | None]]:
        # duplicates by `$insert_id` may differ in what else they hold: their last line is kept
        index = settled(lines)
        kept = [line for number, line in enumerate(lines) if number not in index.dropped]
        return Counter(
            (key, None if b"$insert_id" in line else line)
            for key, line in zip(keys(index), kept, strict=True)
        )

    found = keyed(lines)
    assert found == keyed(shuffled)
    assert all(count == 1 for count in Counter(key for key, _ in found.elements()).values())
    without_id = [line for line in lines if b"$insert_id" not in line]
    assert Counter(line for _, line in found.elements() if line is not None) == Counter(without_id)


@pytest.mark.parametrize("insert_id", [None, ""])
def test_alike_events_are_kept_and_numbered(insert_id: str | None) -> None:
    """Equal events without `$insert_id` are all kept: only the first has the plain key."""
    line = event(insert_id=insert_id)
    found = keys(settled([line] * 3 + [event(insert_id=insert_id, plan="pro")] * 2))
    assert len(set(found)) == 5
    assert found[:3] == keys(settled([line] * 3))
    assert found[:2] == keys(settled([line] * 2))
    assert found[0] == key_of(line)


@pytest.mark.parametrize(
    ("time", "day"),
    [
        (NOON, FIRST),
        (NOON + DAY_S, LAST),
        ((NOON + DAY_S) * 1_000, LAST),
        ("2026-11-21T12:00:00Z", LAST),
        (NOON - DAY_S, FIRST),
        (NOON + 2 * DAY_S, LAST),
        (1e300, FIRST),
        (None, FIRST),
        ("rubbish", FIRST),
        ({"a": 1}, FIRST),
    ],
)
@pytest.mark.parametrize("insert_id", ["i1", None])
def test_day_lies_in_the_window(time: object, day: int, insert_id: str | None) -> None:
    """Events of other days are filed under the nearest day, those without a day the first."""
    index = settled([event(time=time, insert_id=insert_id)])
    assert filed_days(index) == [day]
    dates = index.date_array(pa.array([0])).to_pylist()
    assert dates == [date.fromordinal(day + EPOCH_ORDINAL)]


def test_events_of_other_days_stay_apart() -> None:
    """Events of different days keep different keys, even when filed under the same day."""
    index = settled([event(), event(time=NOON - DAY_S), event(time=None)])
    assert filed_days(index) == [FIRST] * 3
    assert len(set(keys(index))) == 3


@pytest.mark.parametrize(
    ("processed", "rank"),
    [
        (5, 5),
        (5.9, 5),
        (-1, 0),
        ("5", 0),
        (None, 0),
        ([1], 0),
        (2**70, 2**63 - 1),
        (1e300, 2**63 - 1),
    ],
)
def test_rank(processed: object, rank: int) -> None:
    """An invalid processing time counts as the earliest."""
    assert EventIdentifier().of_line(event(processed=processed)).rank == rank


@pytest.mark.parametrize(
    "extra",
    [
        rb'"x":NaN',
        rb'"x":1e400',
        rb'"x":"\ud800"',
        b'"x":"\xff"',
        b'"x":"raw\nbreak"',
        b'"x":"\x00"',
        b'"x":' + b"1" * 40,
        rb'"x":"\u2028"',
        b'"x":{"y":[[]]}',
    ],
    ids=repr,
)
@pytest.mark.parametrize("insert_id", ["i1", None])
def test_rows_that_need_repair_are_identified(extra: bytes, insert_id: str | None) -> None:
    """A repaired value does not change the key, unless there is no `$insert_id`."""
    plain = event(insert_id=insert_id)
    odd = plain.replace(b'"properties": {', b'"properties": {' + extra + b",")
    assert (key_of(odd) == key_of(plain)) == (insert_id is not None)
    assert key_of(odd) == key_of(odd)


NO_EVENTS = [
    b"",
    b"{}",
    b"[]",
    b"terminated early",
    b'{"error":"x"}',
    b'{"event":"a"}',
    b'{"properties":{}}',
    b'{"event":null,"properties":{}}',
    b'{"event":1,"properties":{}}',
    b'{"event":"a","properties":null}',
    b'{"event":"a","properties":[]}',
    b'{"event":"a","properties":{}',
    b'{"event":"a","properties":{}}terminated early',
]


@pytest.mark.parametrize("line", [*NO_EVENTS, pytest.param(b'{"a":' + b"[" * 9_000, id="deep")])
def test_no_event(line: bytes) -> None:
    """A line that is not a whole event is a ValueError."""
    identifier = EventIdentifier()
    with pytest.raises(ValueError, match=r"."):
        identifier.of_line(line)


def profile(distinct_id: object, **properties: Any) -> bytes:
    """A line of a profile dump."""
    return json.dumps({"$distinct_id": distinct_id, "$properties": properties}).encode()


def test_last_profile_is_kept() -> None:
    """A later profile with the same id replaces the earlier one."""
    lines = [profile("a"), profile("b"), profile("a", x=1), profile("a", x=2), profile("c")]
    index = settled(lines, ProfileIdentifier())
    assert [*index.dropped] == [0, 2]
    assert filed_days(index) == [0] * 5


def test_profiles_are_told_by_their_id_alone() -> None:
    """A profile has the same key in every dump."""
    first, second = ProfileIdentifier(), ProfileIdentifier()
    assert first.of_line(profile("a")) == second.of_line(profile("a"))


def test_profile_ids_of_other_types() -> None:
    """A number and its digits as text are the same id, for numbers of any size."""
    for number in (7, -1, 2**63, 2**64, 10**30, -(2**63) - 1, -(10**30)):
        index = settled([profile(number), profile(str(number))], ProfileIdentifier())
        assert [*index.dropped] == [0]


@pytest.mark.parametrize(
    "line",
    [
        b'{"$properties":{}}',
        b'{"$distinct_id":null}',
        b'{"$distinct_id":[1],"$properties":{}}',
        b'{"$distinct_id":"a","$properties":[]}',
        b"<html>",
    ],
)
def test_no_profile(line: bytes) -> None:
    """A line that is not a profile is a ValueError."""
    identifier = ProfileIdentifier()
    with pytest.raises(ValueError, match=r"."):
        identifier.of_line(line)


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ((None, "", "a"), "a"),
        (("a", "b"), "a"),
        ((0, "b"), 0),
        ((None, ""), ""),
        (("", None), None),
    ],
)
def test_first_given(values: tuple[object, ...], first: object) -> None:
    """None and empty text are skipped; if all values are, the last one is returned."""
    assert first_given(*values) == first
