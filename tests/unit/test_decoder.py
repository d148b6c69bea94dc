"""Lines into typed arrays: each value unchanged in the array of its property and type."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.constants import SMALL_BLOCK_BYTES
from mixpanel_source.decode.blocks import read_block
from mixpanel_source.decode.decoded import ARROW_TYPES, Decoded, Selection, concat
from mixpanel_source.decode.decoder import BlockDecoder
from mixpanel_source.decode.framing import iter_row_blocks
from mixpanel_source.decode.rows import SMALL_GROUP
from mixpanel_source.decode.value_types import EVENT, PROFILE, JsonType, Typed
from tests.support.json_values import canonical, property_sets, read_row, to_line

TYPES = {
    bool: JsonType.BOOL,
    int: JsonType.BIGINT,
    float: JsonType.DOUBLE,
    str: JsonType.TEXT,
    list: JsonType.JSON,
    dict: JsonType.JSON,
}

EVENTS = BlockDecoder(EVENT)


def read_back(decoded: Decoded) -> dict[int, dict[Typed, Any]]:
    """Position -> the values of the row by property and type; JSON text is parsed."""
    rows: dict[int, dict[Typed, Any]] = defaultdict(dict)
    positions = decoded.positions.to_pylist()
    for typed, array in decoded.properties.items():
        for position, value in zip(positions, array.to_pylist(), strict=True):
            if value is not None:
                found = json.loads(value) if typed.type is JsonType.JSON else value
                rows[position][typed] = canonical(found)
    return rows


def decode(*lines: bytes, decoder: BlockDecoder = EVENTS) -> Decoded:
    """Lines decoded row by row, after a check that decoding their tape gives the same."""
    block = b"".join(iter_row_blocks([b"".join(line + b"\n" for line in lines)]))
    by_row = decoder.decode(read_block(block, decoder.kind), start=0)
    by_tape = decoder.decode(read_block(block, decoder.kind, small=0), start=0)
    assert by_tape.properties.keys() == by_row.properties.keys()
    assert arrow_types(by_tape) == arrow_types(by_row)
    assert read_back(by_tape) == read_back(by_row)
    assert by_tape.repairs == by_row.repairs
    assert rows_of(by_tape) == rows_of(by_row)
    return by_row


def arrow_types(decoded: Decoded) -> list[pa.DataType | None]:
    """The types of all arrays, which are those documented; None for those that are not there."""
    for typed, array in decoded.properties.items():
        assert array.type == ARROW_TYPES[typed.type]
        assert len(array) == decoded.row_count
    others = (decoded.names, decoded.positions, decoded.digests, decoded.raw_properties)
    return [None if array is None else array.type for array in others]


def rows_of(decoded: Decoded) -> list[tuple[Any, ...]]:
    """What each row has besides its properties, in order."""
    arrays = [decoded.positions, decoded.names]
    arrays += [] if decoded.digests is None else [decoded.digests]
    return sorted(zip(*(array.to_pylist() for array in arrays), strict=True))


def decode_value(literal: bytes) -> tuple[dict[Typed, Any], Counter[str]]:
    """The decoded value of `{"x": literal}`, and the repairs."""
    decoded = decode(b'{"event":"e","properties":{"x":%s}}' % literal)
    return read_back(decoded)[0], decoded.repairs


@given(st.lists(st.tuples(st.sampled_from("abc"), property_sets()), max_size=20))
def test_each_value_is_in_the_array_of_its_type(rows: list[tuple[str, dict[str, Any]]]) -> None:
    """Each value is in the array of its property and type, and in no other."""
    lines = [to_line(name, properties) for name, properties in rows]
    decoded = decode(*lines)
    found = read_back(decoded)
    for position, line in enumerate(lines):
        _, properties = read_row(line)
        assert found[position] == {
            Typed(name, TYPES[type(value)]): canonical(value)
            for name, value in properties.items()
            if value is not None
        }
    assert decoded.row_count == len(lines)


@pytest.mark.parametrize("number", [2**63, -(10**30) - 1, 2**64])
def test_integer_in_an_object_keeps_its_value_whatever_is_repaired(number: int) -> None:
    """A NUL in another property of the row does not make it text."""
    line = b'{"event":"e","properties":{"x":{"n":%d},"y":"\\u0000"}}' % number
    decoded = decode(line)
    assert decoded.properties[Typed("x", JsonType.JSON)].to_pylist() == [f'{{"n":{number}}}']
    assert decoded.repairs == {"nul": 1}


@given(st.lists(property_sets(), max_size=5))
def test_raw_properties_are_as_served(rows: list[dict[str, Any]]) -> None:
    """The JSON text has every property, including null, whatever else is decoded."""
    lines = [to_line("e", properties) for properties in rows]
    decoded = decode(*lines, decoder=BlockDecoder(EVENT, Selection(only=("x",), raw=True)))
    assert decoded.raw_properties is not None
    for position, raw in zip(
        decoded.positions.to_pylist(), decoded.raw_properties.to_pylist(), strict=True
    ):
        _, served = read_row(lines[position])
        _, loaded = read_row(b'{"event":"e","properties":%s}' % raw.encode())
        assert canonical(loaded) == canonical(served)


def test_a_common_event_is_decoded_apart_from_rare_ones() -> None:
    """Rows have their positions, whether their event is frequent or rare."""
    names = ["common"] * SMALL_GROUP + [f"rare {number}" for number in range(SMALL_GROUP)]
    lines = [to_line(name, {"n": number, name: "x"}) for number, name in enumerate(names)]
    decoded = decode(*lines)
    assert rows_of(decoded) == [*enumerate(names)]
    assert read_back(decoded) == {
        number: {Typed("n", JsonType.BIGINT): number, Typed(name, JsonType.TEXT): "x"}
        for number, name in enumerate(names)
    }


def test_positions_count_from_the_start_and_skip_what_is_dropped() -> None:
    """A dropped row is left out, and the others keep their positions in the window."""
    lines = [to_line("e", {"n": number}) for number in range(4)]
    block = b"".join(line + b"\n" for line in lines)
    for small in (0, SMALL_BLOCK_BYTES):
        decoded = EVENTS.decode(read_block(block, EVENT, small=small), start=10, dropped=[1])
        assert decoded.positions.to_pylist() == [10, 12, 13]
        assert decoded.properties[Typed("n", JsonType.BIGINT)].to_pylist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("literal", "kind", "value", "repaired"),
    [
        (b"9223372036854775807", JsonType.BIGINT, 2**63 - 1, {}),
        (b"-9223372036854775808", JsonType.BIGINT, -(2**63), {}),
        (b"9007199254740993", JsonType.BIGINT, 2**53 + 1, {}),
        (b"9223372036854775808", JsonType.TEXT, "9223372036854775808", {"integer": 1}),
        (b"-9223372036854775809", JsonType.TEXT, "-9223372036854775809", {"integer": 1}),
        (b"18446744073709551616", JsonType.TEXT, "18446744073709551616", {"integer": 1}),
        (b"1" + b"0" * 29 + b"1", JsonType.TEXT, "1" + "0" * 29 + "1", {"integer": 1}),
        (b"9223372036854775808.0", JsonType.DOUBLE, 2.0**63, {}),
        (b"1e300", JsonType.DOUBLE, 1e300, {}),
        (b"-0.0", JsonType.DOUBLE, -0.0, {}),
        (b"1.0", JsonType.DOUBLE, 1.0, {}),
        (b"[18446744073709551617]", JsonType.JSON, [2**64 + 1], {}),
        (b'{"a":[-18446744073709551617]}', JsonType.JSON, {"a": [-(2**64) - 1]}, {}),
        (b"[1e22]", JsonType.JSON, [1e22], {}),
        (b"NaN", JsonType.TEXT, "NaN", {"not_finite": 1}),
        (b"-Infinity", JsonType.TEXT, "-Infinity", {"not_finite": 1}),
        (b"1e400", JsonType.TEXT, "1e400", {"not_finite": 1}),
        (b"[NaN,1e400]", JsonType.JSON, ["NaN", "1e400"], {"not_finite": 2}),
        (rb'"a\u0000b"', JsonType.TEXT, "a\ufffdb", {"nul": 1}),
        (rb'"a\\u0000b"', JsonType.TEXT, r"a\u0000b", {}),
        (rb'"\ud83d"', JsonType.TEXT, "\ufffd", {"surrogate": 1}),
        (rb'"\ud83d\ude00"', JsonType.TEXT, "😀", {}),
        (b'"\xff"', JsonType.TEXT, "\ufffd", {"utf8": 1}),
        (b'"a\nb"', JsonType.TEXT, "a\nb", {}),
        (b'""', JsonType.TEXT, "", {}),
        (b'"2026-11-20"', JsonType.TEXT, "2026-11-20", {}),
    ],
)
def test_a_value_at_an_edge(
    literal: bytes, kind: JsonType, value: object, repaired: dict[str, int]
) -> None:
    """A value that databases store is unchanged; any other is repaired, and counted once."""
    found, repairs = decode_value(literal)
    assert found == {Typed("x", kind): canonical(value)}
    assert repairs == repaired


def test_one_bad_value_changes_no_other() -> None:
    """The rows around a repaired one keep their values and their types."""
    values = [b"1", b"1.5", b"true", b"18446744073709551616", b"2", b'"x"']
    lines = [b'{"event":"e","properties":{"x":%s,"y":%s}}' % (v, values[4]) for v in values]
    found = read_back(decode(*lines))
    assert [next(iter(found[n])).type.value for n in range(len(values))] == [
        *("bigint", "double", "bool", "text", "bigint", "text")
    ]
    assert [found[n][Typed("y", JsonType.BIGINT)] for n in range(len(values))] == [2] * len(values)


def test_a_property_without_values_has_no_array() -> None:
    """Null makes no column, because it has no type."""
    assert decode_value(b"null") == ({}, Counter())
    assert decode(to_line("e", {"x": None})).properties == {}


def test_only_the_wanted_properties_are_decoded() -> None:
    """With `only`, no other properties become arrays."""
    decoder = BlockDecoder(EVENT, Selection(only=("time", "gone"), raw=True))
    decoded = decode(to_line("e", {"time": 1, "x": 2}), decoder=decoder)
    assert [*decoded.properties] == [Typed("time", JsonType.BIGINT)]
    assert decoded.raw_properties is not None
    assert decoded.digests is None


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (EVENT, b'{"event":"e","beside":[1e99,"\xc3\xa9"],"properties":{"x":1,"event":2}}'),
        (EVENT, b'{"beside":[1e99,"\xc3\xa9"],"properties":{"x":1,"event":2},"event":"e"}'),
        (PROFILE, b'{"$distinct_id":"e","beside":[1e99,"\xc3\xa9"],"x":1,"event":2}'),
    ],
)
def test_keys_beside_the_properties_are_kept(kind: Any, line: bytes) -> None:
    """Unexpected keys are loaded like properties, as arrays and as JSON."""
    decoded = decode(line, decoder=BlockDecoder(kind, Selection(raw=True)))
    assert read_back(decoded)[0] == {
        Typed("beside", JsonType.JSON): canonical([1e99, "é"]),
        Typed("x", JsonType.BIGINT): 1,
        Typed("event", JsonType.BIGINT): 2,
    }
    assert decoded.raw_properties is not None
    raw = json.loads(decoded.raw_properties[0].as_py())
    assert raw == {"beside": [1e99, "é"], "x": 1, "event": 2}


def test_profiles_have_their_id_as_name() -> None:
    """An id of any type becomes text, and a profile may have no properties."""
    lines = [b'{"$distinct_id":7}', b'{"$distinct_id":"a","$properties":{}}']
    decoded = decode(*lines, decoder=BlockDecoder(PROFILE, Selection(raw=True)))
    assert decoded.names.to_pylist() == ["7", "a"]
    assert decoded.raw_properties is not None
    assert decoded.raw_properties.to_pylist() == ["{}", "{}"]


@pytest.mark.parametrize("name", ["", ":", "text:x", "name", "position", "raw_properties"])
def test_a_property_is_found_under_any_name(name: str) -> None:
    """A property may have the name of an internal column."""
    assert read_back(decode(to_line("e", {name: 1})))[0] == {Typed(name, JsonType.BIGINT): 1}


@given(st.lists(st.lists(property_sets(), max_size=4), min_size=1, max_size=4), st.integers(1, 5))
def test_parts_put_together_and_cut_again(
    groups: list[list[dict[str, Any]]], max_rows: int
) -> None:
    """Rows, values, digests and repairs are the same in one part, in several, and in batches."""
    decoder = BlockDecoder(EVENT, Selection(raw=True, digest=True))
    lines = [[to_line("e", properties) for properties in group] for group in groups]
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    parts = [
        decoder.decode(read_block(b"".join(line + b"\n" for line in some), EVENT), start=start)
        for some, start in zip(lines, starts, strict=True)
    ]
    whole = concat(parts)
    expected = decode(*(line for some in lines for line in some), decoder=decoder)
    batches = [*whole.iter_batches(max_rows)]
    assert all(0 < batch.row_count <= max_rows for batch in batches)
    assert [batch.repairs for batch in batches] == [whole.repairs, *[{}] * (len(batches) - 1)][
        : len(batches)
    ]
    for found in (whole, concat([whole, *batches][1:]) if batches else whole):
        assert rows_of(found) == rows_of(expected)
        assert read_back(found) == read_back(expected)
        assert arrow_types(found) == arrow_types(expected)
        assert found.repairs == expected.repairs
