"""Lines into typed arrays: each value in the array of its property and its type, unchanged."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.constants import SMALL_BLOCK_BYTES
from mixpanel_source.decode.decoder import Decoder
from mixpanel_source.decode.framing import iter_row_blocks
from mixpanel_source.decode.rows import SMALL_GROUP, Decoded
from mixpanel_source.decode.value_types import EVENT, PROFILE, JsonType, Typed
from tests.json_values import canonical, property_sets, read_row, to_line

TYPES = {
    bool: JsonType.BOOL,
    int: JsonType.BIGINT,
    float: JsonType.DOUBLE,
    str: JsonType.TEXT,
    list: JsonType.JSON,
    dict: JsonType.JSON,
}

EVENTS = Decoder(EVENT)


def read_back(table: pa.Table) -> dict[int, dict[Typed, Any]]:
    """Position -> what the row has, by property and type; JSON is read."""
    rows: dict[int, dict[Typed, Any]] = defaultdict(dict)
    columns = {name: typed for name in table.column_names if (typed := Typed.from_field(name))}
    for row in table.to_pylist():
        for name, typed in columns.items():
            value = row[name]
            if value is not None:
                value = json.loads(value) if typed.type is JsonType.JSON else value
                rows[row["position"]][typed] = canonical(value)
    return rows


def decode(*lines: bytes, decoder: Decoder = EVENTS) -> Decoded:
    """Lines decoded row by row, in which nothing may differ from what the tape makes of them."""
    block = b"".join(iter_row_blocks([b"".join(line + b"\n" for line in lines)]))
    by_row = decoder.decode(decoder.read(block), start=0)
    by_tape = decoder.decode(decoder.read(block, small=0), start=0)
    assert {*by_tape.table.column_names} == {*by_row.table.column_names}
    assert read_back(by_tape.table) == read_back(by_row.table)
    assert by_tape.repairs == by_row.repairs
    assert rows_of(by_tape) == rows_of(by_row)
    return by_row


def rows_of(decoded: Decoded) -> list[tuple[Any, ...]]:
    """What is told of each row beside its properties, in order."""
    told = ("position", "name", "digest")
    names = [name for name in told if name in decoded.table.column_names]
    return sorted(zip(*(decoded.table[name].to_pylist() for name in names), strict=True))


def decode_value(literal: bytes) -> tuple[dict[Typed, Any], Counter[str]]:
    """What becomes of `{"x": literal}`, and what was repaired."""
    decoded = decode(b'{"event":"e","properties":{"x":%s}}' % literal)
    return read_back(decoded.table)[0], decoded.repairs


@given(st.lists(st.tuples(st.sampled_from("abc"), property_sets()), max_size=20))
def test_each_value_is_in_the_array_of_its_type(rows: list[tuple[str, dict[str, Any]]]) -> None:
    """Of any rows each value comes back from the array of its property and type, and no other."""
    lines = [to_line(name, properties) for name, properties in rows]
    decoded = decode(*lines)
    found = read_back(decoded.table)
    for position, line in enumerate(lines):
        _, properties = read_row(line)
        assert found[position] == {
            Typed(name, TYPES[type(value)]): canonical(value)
            for name, value in properties.items()
            if value is not None
        }
    assert decoded.table.num_rows == len(lines)


@given(st.lists(property_sets(), max_size=5))
def test_raw_properties_are_as_served(rows: list[dict[str, Any]]) -> None:
    """The JSON column has every property, null ones too, whatever is decoded besides."""
    lines = [to_line("e", properties) for properties in rows]
    table = decode(*lines, decoder=Decoder(EVENT, only=("x",), raw=True)).table
    for position, raw in zip(
        table["position"].to_pylist(), table["raw_properties"].to_pylist(), strict=True
    ):
        _, served = read_row(lines[position])
        _, loaded = read_row(b'{"event":"e","properties":%s}' % raw.encode())
        assert canonical(loaded) == canonical(served)


def test_a_common_event_is_decoded_apart_from_rare_ones() -> None:
    """Rows come back by their position, whether many or few are of their kind."""
    names = ["common"] * SMALL_GROUP + [f"rare {number}" for number in range(SMALL_GROUP)]
    lines = [to_line(name, {"n": number, name: "x"}) for number, name in enumerate(names)]
    table = decode(*lines).table
    rows = {row["position"]: row for row in table.to_pylist()}
    assert [rows[number]["name"] for number in range(len(names))] == names
    assert [rows[number]["bigint:n"] for number in range(len(names))] == [*range(len(names))]
    assert all(rows[number][f"text:{name}"] == "x" for number, name in enumerate(names))


def test_positions_count_from_the_start_and_skip_what_is_dropped() -> None:
    """A dropped line is left out, and the others keep their positions in the window."""
    lines = [to_line("e", {"n": number}) for number in range(4)]
    block = b"".join(line + b"\n" for line in lines)
    for small in (0, SMALL_BLOCK_BYTES):
        read = EVENTS.read(block, small=small)
        table = EVENTS.decode(read, start=10, dropped=[1]).table
        assert table["position"].to_pylist() == [10, 12, 13]
        assert table["bigint:n"].to_pylist() == [0, 2, 3]


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
    """A value a database holds stays as it is; one it does not is repaired, and counted once."""
    found, repairs = decode_value(literal)
    assert found == {Typed("x", kind): canonical(value)}
    assert repairs == repaired


def test_one_bad_value_changes_no_other() -> None:
    """The rows around a repaired one keep their values and their types."""
    values = [b"1", b"1.5", b"true", b"18446744073709551616", b"2", b'"x"']
    lines = [b'{"event":"e","properties":{"x":%s,"y":%s}}' % (v, values[4]) for v in values]
    found = read_back(decode(*lines).table)
    assert [next(iter(found[n])).type.value for n in range(len(values))] == [
        *("bigint", "double", "bool", "text", "bigint", "text")
    ]
    assert [found[n][Typed("y", JsonType.BIGINT)] for n in range(len(values))] == [2] * len(values)


def test_a_property_without_values_has_no_array() -> None:
    """Null makes no column, for it has no type."""
    assert decode_value(b"null") == ({}, Counter())
    assert decode(to_line("e", {"x": None})).table.column_names == ["name", "position"]


def test_only_the_wanted_properties_are_decoded() -> None:
    """Where the JSON column is all that is wanted, nothing else makes arrays."""
    decoder = Decoder(EVENT, only=("time", "gone"), raw=True)
    table = decode(to_line("e", {"time": 1, "x": 2}), decoder=decoder).table
    assert table.column_names == ["name", "position", "raw_properties", "bigint:time"]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (EVENT, b'{"event":"e","beside":[1e99,"\xc3\xa9"],"properties":{"x":1,"event":2}}'),
        (EVENT, b'{"beside":[1e99,"\xc3\xa9"],"properties":{"x":1,"event":2},"event":"e"}'),
        (PROFILE, b'{"$distinct_id":"e","beside":[1e99,"\xc3\xa9"],"x":1,"event":2}'),
    ],
)
def test_keys_beside_the_properties_are_kept(kind: Any, line: bytes) -> None:
    """What should not be there is loaded as if it were a property, in both forms."""
    table = decode(line, decoder=Decoder(kind, raw=True)).table
    assert read_back(table)[0] == {
        Typed("beside", JsonType.JSON): canonical([1e99, "é"]),
        Typed("x", JsonType.BIGINT): 1,
        Typed("event", JsonType.BIGINT): 2,
    }
    raw = json.loads(table["raw_properties"][0].as_py())
    assert raw == {"beside": [1e99, "é"], "x": 1, "event": 2}


def test_profiles_have_their_id_as_name() -> None:
    """The id is text whatever it was, and a profile may have no properties."""
    lines = [b'{"$distinct_id":7}', b'{"$distinct_id":"a","$properties":{}}']
    table = decode(*lines, decoder=Decoder(PROFILE, raw=True)).table
    assert table["name"].to_pylist() == ["7", "a"]
    assert table["raw_properties"].to_pylist() == ["{}", "{}"]


@pytest.mark.parametrize("name", ["", ":", "text:x", "name", "position", "raw_properties"])
def test_a_property_is_found_under_any_name(name: str) -> None:
    """A name that looks like one of ours is still the property's."""
    table = decode(to_line("e", {name: 1})).table
    assert read_back(table)[0] == {Typed(name, JsonType.BIGINT): 1}
