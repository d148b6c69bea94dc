"""The tape: plain lines are read exactly as row by row; all other lines are left as odd."""

from __future__ import annotations

import json
from datetime import date
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixpanel_source import constants
from mixpanel_source.decode.blocks import BlockReader, read_block, read_blocks
from mixpanel_source.decode.decoded import Decoded, Selection
from mixpanel_source.decode.decoder import BlockDecoder
from mixpanel_source.decode.index.identity import EventIdentifier, ProfileIdentifier, RowIdentifier
from mixpanel_source.decode.scan.gather import GroupedRows
from mixpanel_source.decode.scan.grammar import MAX_DEPTH
from mixpanel_source.decode.scan.key_table import MAX_KEY_BYTES, MAX_KEYS
from mixpanel_source.decode.scan.tape import scan
from mixpanel_source.decode.value_types import EVENT, PROFILE, JsonType, Typed
from mixpanel_source.windows import Window
from tests.support.json_values import property_sets

DAY = date(2026, 11, 20)
NOON = 1_795_176_000
WINDOW = Window(DAY, DAY)


def line(properties: str, name: str = '"e"') -> bytes:
    """A line of an export from JSON text."""
    return f'{{"event":{name},"properties":{properties}}}\n'.encode()


def values_of(properties: str) -> dict[Typed, Any]:
    """The property values on the tape of a plain line."""
    tape = scan(line(properties), EVENT)
    assert tape.odd == []
    return {typed: array[0].as_py() for typed, array in GroupedRows(tape).typed_arrays().items()}


def to_dict(decoded: Decoded) -> dict[Any, list[Any]]:
    """All arrays as lists."""
    arrays: dict[Any, Any] = {
        "name": decoded.names,
        "position": decoded.positions,
        "digest": decoded.digests,
        "raw": decoded.raw_properties,
        **decoded.properties,
    }
    return {key: array.to_pylist() for key, array in arrays.items() if array is not None}


def is_text(key: Any) -> bool:
    """Whether a key of `to_dict` is that of the texts of a property."""
    return isinstance(key, Typed) and key.type is JsonType.TEXT


def values_at(decoded: Decoded, typed: Typed) -> dict[int, Any]:
    """Position -> the value of a property."""
    values = decoded.properties[typed].to_pylist()
    return dict(zip(decoded.positions.to_pylist(), values, strict=True))


ESCAPED = st.sampled_from([True, False])
ids = st.none() | st.sampled_from(["", "u1", "ü", 'a"b', "7"]) | st.integers(0, 9) | st.text()
times = (
    st.integers(NOON - 90_000, NOON + 90_000)
    | st.integers(-(2**62), 2**62)
    | st.floats(0, 2e12)
    | st.sampled_from([None, "2026-11-20T01:00:00", "", True, NOON * 1000 + 1])
)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """A line with every identifying property, and others."""
    properties = draw(property_sets()) | {
        "time": draw(times),
        "distinct_id": draw(ids),
        "$insert_id": draw(ids),
        "$distinct_id_before_identity": draw(ids),
        "$preshuffle_distinct_id": draw(ids),
        "mp_processing_time_ms": draw(st.none() | st.integers(-5, 2**70) | st.floats(0, 1e15)),
    }
    given = {name: value for name, value in properties.items() if value is not None}
    row = {"event": draw(st.text(max_size=9)), "properties": given}
    text = json.dumps(
        row,
        ensure_ascii=draw(ESCAPED),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": ")])),
    )
    return text.encode("utf-8", "surrogatepass") + b"\n"


@given(st.lists(events(), max_size=6))
@example([line('{"$insert_id":"i","time":0,"distinct_id":""}')])
@example(
    [
        line(f'{{"$insert_id":"{"i" * size}","time":{NOON},"distinct_id":"u"}}')
        for size in (91, 92, 220, 221, 5_000)
    ]
)
def test_keys_are_those_of_the_lines(lines: list[bytes]) -> None:
    """An event has the same key, day and rank from the tape and from its line."""
    assert_identified(lines, EventIdentifier())


@given(st.lists(st.text(max_size=200), max_size=4))
def test_keys_of_profiles_are_those_of_the_lines(names: list[str]) -> None:
    """A profile has the same key from the tape and from its line."""
    lines = [
        orjson.dumps({"$distinct_id": n, "$properties": {}}) + b"\n"
        for n in names
        if n.isprintable()
    ]
    assert_identified(lines, ProfileIdentifier())


def assert_identified(lines: list[bytes], identifier: RowIdentifier) -> None:
    """Compare the identities of a block with those of its lines, one by one."""
    _, found = BlockReader(identifier).read(b"".join(lines), small=0)
    for row, text in enumerate(lines):
        identity = identifier.of_line(text[:-1])
        assert bytes(found.keys[row]) == identity.key
        assert (found.numbered[row], found.days[row], found.ranks[row]) == identity[1:4]


@pytest.mark.parametrize("small", [0, constants.SMALL_BLOCK_BYTES])
def test_digests_of_lines(small: int) -> None:
    """A line has the same digest on a tape, whatever its length, and beside it."""
    lines = [
        orjson.dumps({"$distinct_id": "u", "$properties": {"a": "x" * size}})
        for size in [*range(300), 8_000, 8_191, 8_192, 8_193, 30_000]
    ]
    # not plain
    lines[7] = b'{"$distinct_id": 7, "$properties": {"a": 1, "a": 2}}'
    reader = BlockReader(ProfileIdentifier(), digests_lines=True)
    block, _ = reader.read(b"".join(line + b"\n" for line in lines), small=small)
    assert (block.tape is None) == (small > 0)
    assert block.digests is not None
    for text, digest in zip(lines, block.digests, strict=True):
        assert digest.tobytes() == blake2b(text, digest_size=16).digest()


def test_a_plain_event_is_hashed_as_documented() -> None:
    """The key is BLAKE2b of a JSON list; keys must not change, because tables hold them."""
    text = line(f'{{"time":{NOON},"distinct_id":"u1","$insert_id":"i1"}}')
    wanted = blake2b(b'["e","i1","u1",20777]', digest_size=16).digest()
    assert_identified([text], EventIdentifier())
    assert EventIdentifier().of_line(text[:-1]).key == wanted


@pytest.mark.parametrize(
    ("literal", "kind", "value"),
    [
        ("0", JsonType.BIGINT, 0),
        ("-0", JsonType.BIGINT, 0),
        ("999999999999999999", JsonType.BIGINT, 10**18 - 1),
        ("-999999999999999999", JsonType.BIGINT, 1 - 10**18),
        ("0.1", JsonType.DOUBLE, 0.1),
        ("-1.5E+3", JsonType.DOUBLE, -1500.0),
        ("2e-7", JsonType.DOUBLE, 2e-7),
        ("123456789012345678.25", JsonType.DOUBLE, 123456789012345678.25),
        ("4.35", JsonType.DOUBLE, 4.35),
        ("true", JsonType.BOOL, True),
        ("false", JsonType.BOOL, False),
        ('""', JsonType.TEXT, ""),
        (r'"\"\\\/\b\f\n\r\t\u00e9\u65e5\ud83d\ude00"', JsonType.TEXT, '"\\/\b\f\n\r\té日😀'),
        ('"7 bytes"', JsonType.TEXT, "7 bytes"),
        ('"8 bytes!"', JsonType.TEXT, "8 bytes!"),
        (r'"\u0001"', JsonType.TEXT, "\x01"),
        (r'["\u0001\u00e9\"\\", { } ,[ ]]', JsonType.JSON, r'["\u0001é\"\\",{},[]]'),
        (
            '{"a":[1,2.50,{"b":null}],"c":"\u2028"}',
            JsonType.JSON,
            '{"a":[1,2.50,{"b":null}],"c":"\u2028"}',
        ),
        (r'{"\u0022 b" : "\/"}', JsonType.JSON, r'{"\" b":"/"}'),
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, JsonType.JSON, "[" * MAX_DEPTH + "]" * MAX_DEPTH),
    ],
)
def test_a_value(literal: str, kind: JsonType, value: object) -> None:
    """A plain value is unchanged, except for needless spaces in JSON."""
    assert values_of(f'{{"x":{literal}}}') == {Typed("x", kind): value}
    assert values_of(f'{{ "a" : 1 , "x" : {literal} , "b" : null }}')[Typed("x", kind)] == value


@pytest.mark.parametrize(
    "literal",
    [
        *("01", "1.", ".5", "+1", "1e", "1e+", "--1", "1.e5", "0x1", "-", "1e400", "1e-400"),
        *(
            "9223372036854775807",
            "9" * 40,
            "1." + "0" * 50,
            "NaN",
            "Infinity",
            "tru",
            "nul",
            "True",
        ),
        *('"a', '"\x01"', '"\t"', r'"\x"', r'"\u12"', r'"\u0000"', r'"\ud800"', r'"\udc00\ud800"'),
        *("[1,]", "[,1]", "[1 2]", "{1:2}", '{"a"}', '{"a":}', '{"a":1,}', "[}", "{]", "]", "["),
        *('["\x01"]', "[NaN]", "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "[1e999]", ""),
    ],
)
def test_an_odd_value_is_left(literal: str) -> None:
    """A value that is not strict JSON, or would have to change, makes its line odd."""
    text = line(f'{{"x":{literal}}}')
    tape = scan(line("{}") + text + line("{}"), EVENT)
    assert tape.odd == [(1, text[:-1])]
    assert tape.lines.tolist() == [0, 2]


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{}", b"[]", b"terminated early", b'{"error":"x"}', b'{"event":"e"}', b"\xff"),
        *(b'{"properties":{}}', b'{"event":1,"properties":{}}', b'{"event":"e","properties":[]}'),
        *(b'{"event":"e","properties":{}', b'{"event":"e","properties":{}}}', b'{"event":"e"'),
        *(b'{"event":"e","properties":{}}x', b'{"event":"e","properties":{},"beside":1}', b'{"'),
        *(b'{"event":"e","event":"f","properties":{}}', b' {"event":"e","properties":{}}'),
        *(b'{"event":"e","properties":{"a":1,"a":2}}', b'{"event":"e","properties":{"a":1 "b":2}}'),
        *(b'{"event":"e","properties":{"a":"\xff"}}', b'{"event":"e","properties":{"\xc3":1}}'),
        *(b'{"event":"e","properties":{"a":"\xed\xa0\x80"}}', b'{"event":"e","properties":{"a"}}'),
        *(
            b'{"event":"e","properties":{"a":"\xc0\x80"}}',
            b'{"event":"\xf4\x90\x80\x80","properties":{}}',
        ),
    ],
    ids=repr,
)
def test_an_odd_line_is_left(text: bytes) -> None:
    """A line that is not a row as Mixpanel writes rows is odd."""
    tape = scan(text + b"\n" + line("{}"), EVENT)
    assert tape.odd == [(0, text)]
    assert tape.lines.tolist() == [1]


@given(st.binary(max_size=60).filter(lambda data: b"\n" not in data))
def test_any_bytes(data: bytes) -> None:
    """A line is plain only if a strict JSON reader accepts it."""
    text = line('{"x":?}').replace(b"?", data)
    tape = scan(text, EVENT)
    if not tape.odd:
        assert orjson.loads(text)["properties"].get("x") is not None or b"null" in data


@given(st.text(max_size=40))
def test_any_name(name: str) -> None:
    """A property has its name, whether the name is escaped or not."""
    for ascii_only in (True, False):
        text = json.dumps({name: 1}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        tape = scan(b'{"event":"e","properties":%s}\n' % text, EVENT)
        if not tape.odd:
            assert [*GroupedRows(tape).typed_arrays()] == [Typed(name, JsonType.BIGINT)]
        else:
            assert (
                "\x00" in name
                or not name.isprintable()
                or any("\ud800" <= c <= "\udfff" for c in name)
            )


def test_more_properties_than_there_is_room_for() -> None:
    """Rows that exceed the maximum of properties are odd, and rows after them are not."""
    names = [f'"p{number}":{number}' for number in range(MAX_KEYS + 10)]
    block = line("{" + ",".join(names[:-20]) + "}") + line("{" + ",".join(names) + "}")
    tape = scan(block + line('{"p1":1}'), EVENT)
    assert tape.lines.tolist() == [0, 2]
    assert [number for number, _ in tape.odd] == [1]
    assert len(GroupedRows(tape).typed_arrays()) == MAX_KEYS - 10


@pytest.mark.parametrize("size", [MAX_KEY_BYTES, MAX_KEY_BYTES + 1, 5_000])
def test_a_name_of_any_length(size: int) -> None:
    """A very long name makes its row odd; a name that is only its beginning is another property."""
    long, short = "n" * size, "n" * 200
    tape = scan(line(f'{{"{long}":1}}') + line(f'{{"{short}":1}}'), EVENT)
    assert len(tape.odd) == (size > MAX_KEY_BYTES)
    if not tape.odd:
        assert [*GroupedRows(tape).typed_arrays()] == [
            Typed(name, JsonType.BIGINT) for name in (long, short)
        ]


def test_one_name_in_two_spellings() -> None:
    """Rows that write a name with and without escapes have one property, and no value is lost."""
    text = line('{"é":1,"x":0}') + line(r'{"\u00e9":2}') + line(r'{"é":3,"\u00e9":4}')
    block, identities = BlockReader(EventIdentifier()).read(text, small=0)
    decoded = BlockDecoder(EVENT).decode(block, start=0)
    values = values_at(decoded, Typed("é", JsonType.BIGINT))
    assert values == {0: 1, 1: 2, 2: 4}
    assert block.row_count == len(identities.days) == 3


def test_torn_rows_in_a_block_are_joined() -> None:
    """A line break between braces in a text looks like the end of a row, but is not."""
    torn = line('{"text":"}}\n{"}')
    text = line("{}") + torn + b"\n" + line("{}")
    block, identities = BlockReader(EventIdentifier()).read(text, small=0)
    assert block.row_count == len(identities.days) == 3
    decoded = BlockDecoder(EVENT).decode(block, start=0)
    values = values_at(decoded, Typed("text", JsonType.TEXT))
    assert values == {0: None, 1: "}}\n{", 2: None}


def test_what_is_dropped_is_gone() -> None:
    """Dropped rows, plain or odd, are left out; the others are unchanged."""
    lines = [line(f'{{"n":{n},"t":"{n}"}}', '"even"' if n % 2 == 0 else '"odd"') for n in range(20)]
    lines[5] = line('{"gone":true}')
    block = read_block(b"".join(lines) + line('{"n":NaN}'), EVENT, small=0)
    assert [number for number, _ in block.odd] == [20]
    decoder = BlockDecoder(EVENT, Selection(raw=True))
    decoded = decoder.decode(block, start=100, dropped={0, 5, 19, 20})
    rest = [*range(2, 20, 2), *(n for n in range(1, 19, 2) if n != 5)]
    rest.sort(key=lambda n: (n % 2 == 0, n))
    assert to_dict(decoded) == {
        "name": ["even" if n % 2 == 0 else "odd" for n in rest],
        "position": [100 + n for n in rest],
        "raw": [f'{{"n":{n},"t":"{n}"}}' for n in rest],
        Typed("n", JsonType.BIGINT): rest,
        Typed("t", JsonType.TEXT): [str(n) for n in rest],
    }


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", r"\u0061", ""]), st.integers(0, 3)), max_size=40)
)
def test_rows_of_one_name_come_together(rows: list[tuple[str, int]]) -> None:
    """The rows of an event come together, in their order, each with its own values."""
    block = b"".join(
        line(f'{{"n":{n},"p{n}":"{n}"}}', f'"{name}"') for name, n in [*rows, ("last", 0)]
    )
    decoder = BlockDecoder(EVENT, Selection(raw=True))
    found = to_dict(decoder.decode(read_block(block, EVENT, small=0), start=0))
    names = [json.loads(f'"{name}"') for name, _ in rows] + ["last"]
    together = sorted(range(len(names)), key=lambda row: (names.index(names[row]), row))
    assert found["position"] == together
    assert found["name"] == [names[row] for row in together]
    numbers = [[*rows, ("last", 0)][row][1] for row in together]
    assert found[Typed("n", JsonType.BIGINT)] == numbers
    for number, n in enumerate(numbers):
        texts = {key.name: values[number] for key, values in found.items() if is_text(key)}
        assert {name: text for name, text in texts.items() if text} == {f"p{n}": str(n)}
        assert json.loads(found["raw"][number]) == {"n": n, f"p{n}": str(n)}


@pytest.mark.parametrize("workers", [1, 3])
def test_blocks_come_in_order(workers: int) -> None:
    """With any number of threads, blocks come in their order."""
    blocks = [line(f'{{"n":{number}}}') * (50 - number) for number in range(20)]
    counts = [*range(50, 30, -1)]
    read = read_blocks(blocks, EVENT, workers=workers)
    assert [block.row_count for block in read] == counts
    identified = BlockReader(EventIdentifier(), workers=workers).read_all(blocks)
    assert [(block.row_count, len(identities.days)) for block, identities in identified] == [
        (count, count) for count in counts
    ]


def test_profiles_are_plain_too() -> None:
    """A profile's name is its id, and its digest is the same from the tape and row by row."""
    block = b'{"$distinct_id":"a","$properties":{"$email":"x","n":1}}\n'
    decoder = BlockDecoder(PROFILE, Selection(digest=True))
    tape, rows = read_block(block, PROFILE, small=0), read_block(block, PROFILE)
    assert tape.odd == []
    assert to_dict(decoder.decode(tape, start=0)) == to_dict(decoder.decode(rows, start=0))
    assert np.array_equal(scan(block, PROFILE).lines, [0])


SPACES = st.sampled_from(["", "", " ", "\t", " \r "])
NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)
STRINGS = st.sampled_from(
    [
        *("a", "é", "日", "🙂", "/", "{", "[ ,", "\u2028", "\x7f", "\\u00e9", "\\/", "\\n"),
        *("\\u000b", "\\u0022", "\\\\", "\\ud83d\\ude42", "\\u0000", "\\ud800"),
    ]
)


@st.composite
def nested_texts(draw: st.DrawFn, depth: int = 3) -> str:
    """JSON text of a list or object, in any legal form; keys may be there twice."""
    spaces = [draw(SPACES) for _ in range(4)]
    items = []
    is_object = draw(st.booleans())
    for _ in range(draw(st.integers(0, 3))):
        string = f'"{"".join(draw(st.lists(STRINGS, max_size=3)))}"'
        inner = st.sampled_from([string, "true", "null"]) | NUMBERS
        value = draw(inner | nested_texts(depth - 1) if depth else inner)
        key = draw(st.sampled_from(['"k"', '"k"', string]))
        items.append(f"{key}{spaces[0]}:{spaces[1]}{value}" if is_object else value)
    inside = f"{spaces[2]},{spaces[3]}".join(items)
    opened, closed = "{}" if is_object else "[]"
    return f"{opened}{spaces[0]}{inside}{spaces[1]}{closed}"


@given(st.lists(nested_texts(), min_size=1, max_size=4), st.sampled_from(["1", "1e300", "[NaN]"]))
@example(["[0.1234567890123456789,-0,1E5,1.0e+2]", '{"k":1,"k":2}'], "1")
@example(["[0.1234567890123456789,18446744073709551617]", '["\\u00e9 \\/"]'], str(2**64))
def test_nested_json_is_the_same_text(texts: list[str], beside: str) -> None:
    """Lists and objects are the same bytes, compiled or row by row, whatever is beside them."""
    lines = b"".join(line(f'{{"x":{text},"b":{beside}}}') for text in texts)
    typed = Typed("x", JsonType.JSON)
    found = [
        values_at(BlockDecoder(EVENT).decode(read_block(lines, EVENT, small=small), start=0), typed)
        for small in (0, 10**9)
    ]
    assert found[0] == found[1]
    assert all(json.loads(text) is not None for text in found[0].values())


@pytest.mark.parametrize("small", [0, 10**9], ids=["compiled", "by line"])
@pytest.mark.parametrize("beside", ["1", str(2**64), '"\\u0000"'])
@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("[0.1234567890123456789, -0, 1E5]", "[0.1234567890123456789,-0,1E5]"),
        ('{"k": 1, "k": 2}', '{"k":1,"k":2}'),
        ("[123456789012345678901234567890]", "[123456789012345678901234567890]"),
        (r'["\u00e9\/\u000b", " , "]', '["é/\\u000b"," , "]'),
    ],
)
def test_nested_json_keeps_what_was_sent(text: str, stored: str, beside: str, small: int) -> None:
    """Digits and repeated keys stay; spaces between the parts and needless escapes go."""
    block = read_block(line(f'{{"x":{text},"b":{beside}}}'), EVENT, small=small)
    found = values_at(BlockDecoder(EVENT).decode(block, start=0), Typed("x", JsonType.JSON))
    assert found == {0: stored}
