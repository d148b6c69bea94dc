"""Rows of another shape than expected are rejected; only incomplete ones are an error."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixpanel_source.decode.blocks import BlockReader
from mixpanel_source.decode.decoder import BlockDecoder
from mixpanel_source.decode.framing import iter_row_blocks
from mixpanel_source.decode.index.identity import EventIdentifier, ProfileIdentifier, RowIdentifier
from mixpanel_source.decode.index.row_index import RowIndex
from mixpanel_source.decode.json_values import MAX_DEPTH
from mixpanel_source.decode.row_shape import find_entry_problem, reject_line
from mixpanel_source.decode.value_types import EVENT, PROFILE, RowKind
from mixpanel_source.errors import TruncatedError
from mixpanel_source.windows import Window

DAY = date(2026, 11, 20)
NOON = 1_795_176_000
IDENTIFIERS: dict[RowKind, RowIdentifier] = {
    EVENT: EventIdentifier(),
    PROFILE: ProfileIdentifier(),
}
DEEP = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"null", "not an object"),
        (b'"text"', "not an object"),
        (b"[{}]", "not an object"),
        (b"{}", "no event"),
        (b'{"properties":{}}', "no event"),
        (b'{"event":"e"}', "no properties"),
        (b'{"event":null,"properties":{}}', "event is not text"),
        (b'{"event":4,"properties":{}}', "event is not text"),
        (b'{"event":{"a":1},"properties":{}}', "event is not text"),
        (b'{"event":"e","event":null,"properties":{}}', "event is not text"),
        (b'{"event":"e","properties":null}', "properties is not an object"),
        (b'{"event":"e","properties":[]}', "properties is not an object"),
        (b'{"event":"e","properties":"{}"}', "properties is not an object"),
        (b'{"event":null,"properties":{"x":"terminated early"}}', "event is not text"),
        (b'{"event":null,"properties":{"\xff":"\x00"}}', "event is not text"),
        (rb'{"event":null,"properties":{"\ud800":NaN}}', "event is not text"),
        (b'{"event":"e","properties":{"a":[%b]}}' % DEEP, "nested too deeply"),
        (b'{"event":"e","properties":%b}' % (b"[" * 9_000 + b"]" * 9_000), "nested too deeply"),
    ],
)
def test_events(line: bytes, reason: str) -> None:
    """The reason names the key that is wrong, and no value."""
    assert reject_line(line, EVENT).reason == reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"7", "not an object"),
        (b'{"$properties":{}}', "no $distinct_id"),
        (b'{"$distinct_id":null,"$properties":{}}', "$distinct_id is neither text nor a number"),
        (b'{"$distinct_id":true}', "$distinct_id is neither text nor a number"),
        (b'{"$distinct_id":["a"]}', "$distinct_id is neither text nor a number"),
        (b'{"$distinct_id":"a","$properties":null}', "$properties is not an object"),
        (b'{"error":"terminated early"}', "no $distinct_id"),
    ],
)
def test_profiles(line: bytes, reason: str) -> None:
    """A profile is an entry of a page, never a message."""
    assert reject_line(line, PROFILE).reason == reason


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b'{"event":null',
        b'{"event":null,"properties":{}}}',
        b'{"event":null,"properties":{"a":' + b"[" * 9_000,
        b"[" * 9_000 + b"}" * 9_000,
        b"Service unavailable",
        b'"export terminated early"',
        b'{"message":"terminated early"}',
        b'{"error":"Timeout"}',
        b'{"request":"/export","error":null}',
        b'{"status":"error","message":"x"}',
    ],
)
def test_what_may_be_cut_short_is_an_error(line: bytes) -> None:
    """What is not whole, and messages about the reply, are errors."""
    with pytest.raises(TruncatedError):
        reject_line(line, EVENT)


def test_the_deepest_row_that_is_read_can_be_decoded() -> None:
    """A row with as many levels as allowed is not rejected, and its values are decoded."""
    nested = b"[" * (MAX_DEPTH - 2) + b"1e400" + b"]" * (MAX_DEPTH - 2)
    line = b'{"event":"e","properties":{"a":%b}}\n' % nested
    for small in (0, 10**6):
        block, identities = BlockReader(IDENTIFIERS[EVENT]).read(line, small=small)
        assert not identities.rejected.any()
        assert BlockDecoder(EVENT).decode(block, start=0).row_count == 1


def test_ids_of_persons() -> None:
    """Ids are found at any depth, also of rows that are nested too deeply to be read."""
    row = {"event": None, "properties": [{"$device_id": "d"}, {"a": {"distinct_id": 42.0}}]}
    assert reject_line(json.dumps(row).encode(), EVENT).person_ids == ["42", "d"]
    line = b'{"event":"e","properties":{"distinct_id" : "u1","a":[%b]}}' % DEEP
    assert reject_line(line, EVENT).person_ids == ["u1"]


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "time", "distinct_id", "$insert_id"]), inner)
    ),
    max_leaves=5,
)
events = st.fixed_dictionaries(
    {}, optional={"event": st.just("e") | anything, "properties": anything, "other": anything}
)
profiles = st.fixed_dictionaries(
    {}, optional={"$distinct_id": st.just("u") | anything, "$properties": anything}
)


@given(rows=st.lists(events | anything, min_size=1, max_size=5))
@example(rows=[{"event": None, "properties": {"time": NOON}}, None, {"event": "e"}])
@example(rows=["terminated late", 1, [], {"event": "e", "properties": {"time": NOON}}])
def test_both_paths_reject_the_same_events(rows: list[Any]) -> None:
    """What is rejected does not depend on how the rows are read."""
    assert_same_paths(rows, EVENT)


@given(rows=st.lists(profiles | anything, min_size=1, max_size=5))
@example(rows=[{"$distinct_id": "u", "$properties": {}}, {"$distinct_id": 2**64}, None])
def test_both_paths_reject_the_same_profiles(rows: list[Any]) -> None:
    """As for events."""
    assert_same_paths(rows, PROFILE)


def assert_same_paths(rows: list[Any], kind: RowKind) -> None:
    """Read rows on both paths; each row is either decoded or rejected on both."""
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    (text,) = iter_row_blocks([body])
    assert text == body
    lines = text.split(b"\n")[:-1]
    by_row, by_tape = (read(text, kind, small=small) for small in (len(text) + 1, 0))
    assert by_row == by_tape
    rejected, decoded = by_row
    assert sorted([*rejected, *decoded]) == [*range(len(rows))]
    for number in rejected:
        assert reject_line(lines[number], kind).reason


def read(text: bytes, kind: RowKind, *, small: int) -> tuple[list[int], list[int]]:
    """The positions of the rejected and of the decoded rows; duplicates are not looked for."""
    block, identities = BlockReader(IDENTIFIERS[kind]).read(text, small=small)
    index = RowIndex()
    index.extend(identities)
    rejected = index.rejected.tolist()
    assert {*rejected} <= {number for number, _ in block.odd}
    decoded = BlockDecoder(kind).decode(block, start=0, dropped=rejected)
    return rejected, sorted(decoded.positions.to_pylist())


def test_rejected_rows_are_no_duplicates() -> None:
    """Rejected rows are dropped from the window, alike or not, and not counted as duplicates."""
    good = b'{"event":"e","properties":{"time":%d,"$insert_id":"i"}}\n' % NOON
    text = b"null\n" + good + b"null\n" + good + b'{"event":5}\n'
    _, identities = BlockReader(IDENTIFIERS[EVENT]).read(text)
    index = RowIndex()
    index.extend(identities)
    index.resolve_duplicates()
    assert index.rejected.tolist() == [0, 2, 4]
    assert index.dropped.tolist() == [0, 1, 2, 4]
    assert index.duplicates.tolist() == [[1, 3]]
    assert index.rows_by_day() == {DAY: 1}


COLUMNS = {"id": "bigint", "name": "text", "created": "timestamp"}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"id": 4}, None),
        ({"id": "12", "name": [1], "created": "never", "more": {"a": None}}, None),
        ({"id": 4.0, "name": None}, None),
        (None, "not an object"),
        ("text", "not an object"),
        ([], "not an object"),
        ({}, "no id"),
        ({"id": None}, "no id"),
        ({"id": "abc"}, "id is not a whole number"),
        ({"id": True}, "id is not a whole number"),
        ({"id": 4.5}, "id is not a whole number"),
        ({"id": [4]}, "id is not a whole number"),
        ({"id": 2**63}, "id is out of range"),
        ({"id": "9" * 30}, "id is out of range"),
        ({"id": "9" * 9_000}, "id is out of range"),
        ({"id": 4, "created": 1e18}, "created is out of range"),
        ({"id": 4, "more": 2**70}, "a number is out of range"),
        ({"id": 4, " ": 1}, "a key is empty"),
    ],
)
def test_entries_of_lists(entry: object, problem: str | None) -> None:
    """Only what cannot be a row is rejected; other odd values have their variant columns."""
    assert find_entry_problem(entry, COLUMNS) == problem


def test_an_entry_known_by_a_text() -> None:
    """The key may be text, even empty text."""
    assert find_entry_problem({"name": ""}, {"name": "text"}) is None
    assert find_entry_problem({"name": 4}, {"name": "text"}) == "name is not text"


def test_rejected_rows_of_other_days() -> None:
    """Where replies are not limited to their window, a row belongs to the window of its day."""
    times = [NOON, NOON + 86_400, "noon", None]
    lines = (json.dumps({"event": None, "properties": {"time": time}}) for time in times)
    _, identities = BlockReader(IDENTIFIERS[EVENT]).read("\n".join([*lines, ""]).encode())
    index = RowIndex()
    index.extend(identities)
    assert index.is_rejected_of(Window(DAY, DAY)).tolist() == [True, False, True, True]
