"""JSON values: which are repaired, which are unchanged, and how they are written."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.decode.json_values import (
    MAX_DEPTH,
    REPLACEMENT,
    Repairs,
    TooDeepError,
    dump_json,
    is_whole_json,
    load_json,
    read_json,
    repair_row,
)
from mixpanel_source.errors import TruncatedError
from tests.support.json_values import texts, to_json

INT64_END = 2**63
MANY_DIGITS = "-" + "9" * 5_000
BOTTOMLESS = b'{"event":' + b"[" * 100_000


def repaired(literal: str | bytes) -> tuple[Any, Repairs]:
    """A property's value after repair, and the repairs."""
    raw = literal if isinstance(literal, bytes) else literal.encode()
    repairs: Repairs = Counter()
    row = repair_row(b'{"event":"a","properties":{"x":' + raw + b"}}", repairs)
    return row["properties"]["x"], repairs


@pytest.mark.parametrize(
    ("literal", "value", "repairs"),
    [
        (str(INT64_END - 1), INT64_END - 1, {}),
        (str(-INT64_END), -INT64_END, {}),
        (str(INT64_END), str(INT64_END), {"integer": 1}),
        (str(-INT64_END - 1), str(-INT64_END - 1), {"integer": 1}),
        (str(2**64), str(2**64), {"integer": 1}),
        ("1" * 30, "1" * 30, {"integer": 1}),
        pytest.param(MANY_DIGITS, MANY_DIGITS, {"integer": 1}, id="5000-digits"),
        ("true", True, {}),
        ("-0", 0, {}),
        ("1e300", 1e300, {}),
        ("NaN", "NaN", {"not_finite": 1}),
        ("Infinity", "Infinity", {"not_finite": 1}),
        ("-Infinity", "-Infinity", {"not_finite": 1}),
        ("1e400", "1e400", {"not_finite": 1}),
        ("-1.5E+999", "-1.5E+999", {"not_finite": 1}),
        (r'"a\u0000b"', "a\ufffdb", {"nul": 1}),
        (b'"a\x00\x00b"', "a\ufffd\ufffdb", {"nul": 2}),
        (r'"\ud83d\ude00"', "😀", {}),
        (r'"\ud83d"', "\ufffd", {"surrogate": 1}),
        (r'"\ude00\ud83d"', "\ufffd\ufffd", {"surrogate": 2}),
        (r'"\udc80"', "\ufffd", {"surrogate": 1}),
        (b'"a\xff\xfeb"', "a\ufffd\ufffdb", {"utf8": 2}),
        (b'"\xed\xa0\x80"', "\ufffd" * 3, {"utf8": 3}),
        (b'"\xc3"', "\ufffd", {"utf8": 1}),
        (b'"\xff\\u0000\\ud800"', "\ufffd" * 3, {"utf8": 1, "nul": 1, "surrogate": 1}),
        ('"\u2028\x85\x0b"', "\u2028\x85\x0b", {}),
        (f"[{2**64}, {-(10**30)}]", [2**64, -(10**30)], {}),
        (f'{{"deep": [{2**63}]}}', {"deep": [2**63]}, {}),
        ('[NaN, {"a": 1e999}]', ["NaN", {"a": "1e999"}], {"not_finite": 2}),
        (r'[{"k\u0000": "v\ud800"}]', [{"k\ufffd": "v\ufffd"}], {"nul": 1, "surrogate": 1}),
        pytest.param(f"[{MANY_DIGITS}]", [MANY_DIGITS], {"integer": 1}, id="5000-digits-in-list"),
    ],
)
def test_repairs(literal: str | bytes, value: Any, repairs: dict[str, int]) -> None:
    """Values are changed as little as possible, and changes are counted."""
    found, counted = repaired(literal)
    assert (found, dict(counted)) == (value, repairs)
    assert type(found) is type(value)


def test_repairs_names_and_what_stands_beside_the_properties() -> None:
    """Names of properties and of the event are repaired like other text."""
    repairs: Repairs = Counter()
    row = repair_row(rb'{"event":"a\u0000","extra":1e999,"properties":{"\ud800":1}}', repairs)
    assert row == {"event": "a\ufffd", "extra": "1e999", "properties": {"\ufffd": 1}}
    assert repairs == {"nul": 1, "surrogate": 1, "not_finite": 1}


def test_repairs_add_up() -> None:
    """The counter adds up over rows."""
    repairs: Repairs = Counter()
    for _ in range(3):
        repair_row(b'{"a": NaN}', repairs)
    assert repairs == {"not_finite": 3}


@pytest.mark.parametrize(
    "line",
    [b"", b"1", b"[]", b'"text"', b"{", b'{"a":1}{"b":2}', b"{'a': 1}", BOTTOMLESS],
    ids=lambda line: line[:9].decode() or "empty",
)
def test_repair_refuses_what_is_no_object(line: bytes) -> None:
    """Text that is not JSON, not an object or nested too deeply is a ValueError."""
    with pytest.raises(ValueError, match=r".") as raised:
        repair_row(line, Counter())
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 800, 20_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_values_are_refused_before_they_are_read(
    levels: int, opening: str, closing: str
) -> None:
    """Python's own limit is never reached: code that runs at the limit, as finalizers do, fails."""
    whole = opening * levels + "1" + closing * levels
    for text in (whole, whole[:-1], opening * levels):
        with pytest.raises(TooDeepError) as raised:
            load_json(text)
        assert raised.value.__context__ is None
        assert is_whole_json(text.encode()) == (text is whole)


def test_levels_in_text_do_not_count() -> None:
    """Brackets in strings, and those beside each other, are no levels."""
    beside = "[" + ",".join(['{"[[":"]{\\"{"}'] * MAX_DEPTH) + "]"
    assert len(load_json(beside)) == MAX_DEPTH
    deepest = "[" * MAX_DEPTH + '"["' + "]" * MAX_DEPTH
    assert load_json(deepest)


def json_values(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """JSON values of all shapes."""
    return st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    )


@given(properties=st.dictionaries(texts(), json_values(st.floats() | texts()), max_size=5))
def test_repaired_row_can_be_stored(properties: dict[str, Any]) -> None:
    """A repaired row is UTF-8 JSON without NUL, and a second repair changes nothing."""
    line = to_json({"event": "a", "properties": properties})
    row = repair_row(line, Counter())
    stored = dump_json(row)

    again: Repairs = Counter()
    assert repair_row(stored.encode(), again) == row
    assert not again
    assert "\\u0000" not in stored.replace("\\\\", "")


@given(raw=st.binary(max_size=20))
def test_any_bytes_in_a_string(raw: bytes) -> None:
    """Only the bytes that are not valid UTF-8 are replaced."""
    inside = bytes(byte for byte in raw if byte not in b'"\\')
    value, repairs = repaired(b'"' + inside + b'"')

    assert value == inside.decode("utf-8", "surrogateescape").translate(
        dict.fromkeys([0, *range(0xDC80, 0xDD00)], REPLACEMENT)
    )
    assert repairs.total() == value.count(REPLACEMENT) - inside.decode(errors="ignore").count(
        REPLACEMENT
    )


@given(value=json_values(st.floats(allow_nan=False, allow_infinity=False) | st.text()))
def test_dump_json_round_trip(value: Any) -> None:
    """All values survive a round trip exactly, including integers of any size."""
    assert json.loads(dump_json(value)) == value


def test_dump_json_is_compact() -> None:
    """The text has the same form with and without an integer beyond 64 bits."""
    assert dump_json({"é": [1, "a b"]}) == '{"é":[1,"a b"]}'
    assert dump_json({"é": [2**64, "a b"]}) == '{"é":[18446744073709551616,"a b"]}'


@pytest.mark.parametrize(
    ("body", "value", "repairs"),
    [
        (b'[1, "a"]', [1, "a"], {}),
        (b"7", 7, {}),
        (rb'{"a": "x\u0000"}', {"a": "x\ufffd"}, {"nul": 1}),
        (b'{"a": NaN}', {"a": "NaN"}, {"not_finite": 1}),
    ],
)
def test_a_reply_is_repaired_like_a_row(body: bytes, value: Any, repairs: dict[str, int]) -> None:
    """A reply of any JSON type is read, with the repairs that a row would get."""
    counted: Repairs = Counter()
    assert read_json(body, counted) == value
    assert counted == repairs


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": 1', b"1 2", BOTTOMLESS], ids=range(5))
def test_a_reply_that_is_not_json(body: bytes) -> None:
    """Anything else is an error that holds none of the content."""
    with pytest.raises(TruncatedError, match=r"^the reply is not JSON$"):
        read_json(body, Counter())
