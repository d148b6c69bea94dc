"""Bytes into lines, lines into rows."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source import constants
from mixpanel_source.decode.decoder import Decoder
from mixpanel_source.decode.framing import (
    PIECE_BYTES,
    REPLACEMENT,
    Repairs,
    describe_bad_line,
    dump_json,
    inflate,
    iter_row_blocks,
    repair_row,
)
from mixpanel_source.decode.value_types import EVENT
from mixpanel_source.errors import TruncatedError

INT64_END = 2**63
MANY_DIGITS = "-" + "9" * 5_000
BOTTOMLESS = b'{"event":' + b"[" * 100_000

texts = st.text(
    st.sampled_from('ab"\\{}[],: \t\x00\x01\x0b\x0c\x1c\x85\u2028\u2029\ufeffé日🙂')
    | st.characters(),
    max_size=12,
)
rows = st.dictionaries(texts, texts | st.integers() | st.booleans(), max_size=4).map(
    lambda properties: {"event": "Plan chosen", "properties": properties}
)


@st.composite
def splits(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in chunks, some of them empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def read_lines(chunks: Iterable[bytes]) -> list[bytes]:
    """All lines of a stream."""
    return [line for block in iter_row_blocks(chunks) for line in block.split(b"\n")[:-1]]


def to_json(row: Any) -> bytes:
    """A line as Mixpanel writes it, characters as themselves where they can be."""
    try:
        return json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(row).encode()


@given(data=st.data(), wanted=st.lists(rows.map(to_json), max_size=6))
def test_lines_survive_any_split(data: st.DataObject, wanted: list[bytes]) -> None:
    """Wherever chunks end, in a line, in a character or at a line's end, the lines are the same."""
    newline = data.draw(st.sampled_from((b"\n", b"\r\n", b"\n\n", b"\n \n")))
    body = newline.join(wanted) + data.draw(st.sampled_from((b"", newline)))

    lines = read_lines(data.draw(splits(body)))
    assert [line.removesuffix(b"\r") for line in lines] == wanted


@given(data=st.data(), wanted=st.lists(rows.map(to_json), max_size=6))
def test_gzip_survives_any_split(data: st.DataObject, wanted: list[bytes]) -> None:
    """Wherever the chunks of a compressed stream end, the lines are the same."""
    chunks = data.draw(splits(gzip.compress(b"\n".join(wanted), mtime=0)))
    assert read_lines(inflate(chunks)) == wanted


@given(data=st.data(), wanted=st.lists(rows.map(to_json), max_size=3))
def test_gzip_of_several_members(data: st.DataObject, wanted: list[bytes]) -> None:
    """Streams put one after the other are one stream."""
    body = b"".join(gzip.compress(line + b"\n", mtime=0) for line in [b"", *wanted])
    assert b"".join(inflate(data.draw(splits(body)))).split() == b"\n".join(wanted).split()


def test_gzip_cut_anywhere() -> None:
    """A stream that lacks any of its last bytes is refused, even if all lines are there."""
    body = gzip.compress(b"".join(b'{"event":"a","properties":{"n":%d}}\n' % n for n in range(40)))
    for end in range(len(body)):
        with pytest.raises(TruncatedError, match="ends before its trailer"):
            list(inflate([body[:end]]))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>Bad Gateway</html>", id="not-gzip"),
        pytest.param(gzip.compress(b"{}")[:-8] + bytes(8), id="wrong-checksum"),
        pytest.param(gzip.compress(b"{}") + b"terminated early", id="text-behind"),
    ],
)
def test_damaged_gzip(body: bytes) -> None:
    """What is no gzip stream, or not the one that was sent, is refused."""
    with pytest.raises(TruncatedError, match="is damaged"):
        list(inflate([body]))


def test_gzip_blocks_are_bounded() -> None:
    """A stream that swells a thousandfold comes in blocks of bounded size."""
    size = 3 * PIECE_BYTES + 17
    blocks = [*inflate([gzip.compress(bytes(size))])]
    assert max(map(len, blocks)) <= PIECE_BYTES
    assert sum(map(len, blocks)) == size


@given(
    text=texts.map(lambda text: f"}}{text}").filter(lambda text: "\\" not in text),
    breaks=st.lists(st.sampled_from(("\n", "\n\n", "\r\n", "\n \n", "}\n", "}}\n{", '\\"}\n'))).map(
        "x".join
    ),
    data=st.data(),
)
def test_torn_lines_are_joined(text: str, breaks: str, data: st.DataObject) -> None:
    """Raw line breaks inside a string come back as they were, whatever stands around them."""
    safe = text.replace('"', "").encode("utf-8", "replace")
    torn = b'{"event":"a","properties":{"text":"' + safe + breaks.encode() + b'"}}'
    plain = b'{"event":"b","properties":{}}'

    lines = read_lines(data.draw(splits(b"\n".join((plain, torn, plain)))))
    assert lines == [plain, torn.replace(b"\n", rb"\n"), plain]
    assert repair_row(torn, Counter())["properties"]["text"].count("\n") == breaks.count("\n")


@given(data=st.data())
def test_blocks_do_not_depend_on_the_pieces(data: st.DataObject) -> None:
    """What is read again, in other pieces, comes in the same blocks: rows are counted by them."""
    rows = data.draw(st.lists(st.sampled_from([b"{}", b'{"a":1}', b'{"long":"%s"}' % (b"x" * 40)])))
    text = b"".join(row + b"\n" for row in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "BLOCK_BYTES", data.draw(st.integers(1, 60)))
        whole = [*iter_row_blocks([text])]
        assert [*iter_row_blocks(data.draw(splits(text)))] == whole
        assert b"".join(whole) == text
        assert all(len(block) >= constants.BLOCK_BYTES for block in whole[:-1])


def test_text_of_many_raw_lines() -> None:
    """A stack trace of hundreds of lines is still one value."""
    trace = b"\n".join(b'  File \\"a.py\\", line %d' % number for number in range(500))
    torn = b'{"event":"a","properties":{"trace":"' + trace + b'"}}'
    assert read_lines([torn]) == [torn.replace(b"\n", rb"\n")]


def test_unclosed_string_is_given_up() -> None:
    """A string that never ends does not gather the rest of the reply in memory."""
    seen = 0

    def chunks() -> Iterator[bytes]:
        nonlocal seen
        yield b'{"event":"a\n'
        for seen in range(100):  # noqa: B007 - counted for the assertion
            yield b'{"event":"b","properties":{}}\n' * 40_000

    reads = Decoder(EVENT).read_all(iter_row_blocks(chunks()))
    with pytest.raises(TruncatedError, match="not a whole JSON object"):
        next(reads)
    assert seen < 30


@pytest.mark.parametrize(
    "sentinel",
    [
        b"terminated early",
        b"export terminated early",
        b"Terminated Early.",
        b"TERMINATED EARLY\n",
        b"terminated_early",
        b"terminated  early",
        b"Export was terminated-early",
        b'"terminated early"',
        b'["terminated early"]',
        b'{"event":"secret plan","pro\nterminated early',
        b'{"event":"secret plan",\nterminated early',
        b'{"event":"secret plan","properties":{}}terminated early',
    ],
)
def test_terminated_early(sentinel: bytes) -> None:
    """The sentinel is named however it is spelt, and wherever it cuts in."""
    body = b'{"event":"a","properties":{}}\n' + sentinel
    with pytest.raises(TruncatedError, match="'terminated early'") as raised:
        read_lines([body])
    assert "secret plan" not in str(raised.value)


def test_event_that_speaks_of_termination() -> None:
    """An event may say `terminated early` and even be called so."""
    line = b'{"event":"export terminated early","properties":{"error":"terminated early"}}'
    assert read_lines([line]) == [line]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><body>Bad Gateway secret plan</body></html>", "HTML page"),
        (b"<!DOCTYPE html>\n<p>secret plan", "HTML page"),
        (b'{"error": "secret plan', "error message"),
        (b' { "error" : "secret plan"', "error message"),
        (b'{"event":"secret plan","properties":{"a":1', "not a whole JSON object"),
        (b"secret plan", "not a whole JSON object"),
        (b'["secret plan"]', "not a whole JSON object"),
        (b'"secret plan"', "not a whole JSON object"),
        (b"42", "not a whole JSON object"),
        (b"null", "not a whole JSON object"),
        (b"\xef\xbb\xbf{}", "not a whole JSON object"),
        (b"\x00", "not a whole JSON object"),
        pytest.param(BOTTOMLESS + b'"secret plan"', "not a whole JSON object", id="bottomless"),
    ],
)
def test_bad_lines(body: bytes, words: str) -> None:
    """What is no row is refused with the reason and none of the content."""
    with pytest.raises(TruncatedError, match=words) as raised:
        read_lines([body])
    assert "secret plan" not in str(raised.value)


def test_error_object_is_described() -> None:
    """A whole JSON object can be an error message too: whoever finds it asks for the words."""
    assert "error message" in describe_bad_line(b'{"error": "secret plan"}')


def test_nothing_but_blank_lines() -> None:
    """An empty reply has no lines."""
    assert read_lines([]) == read_lines([b""]) == read_lines([b"\n", b" \r\n", b"\t"]) == []


def repaired(literal: str | bytes) -> tuple[Any, Repairs]:
    """A property's value once it is repaired, and what that took."""
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
    """As little as can be is changed, and counted."""
    found, counted = repaired(literal)
    assert (found, dict(counted)) == (value, repairs)
    assert type(found) is type(value)


def test_repairs_names_and_what_stands_beside_the_properties() -> None:
    """Names of properties are text like any other, and so is the name of the event."""
    repairs: Repairs = Counter()
    row = repair_row(rb'{"event":"a\u0000","extra":1e999,"properties":{"\ud800":1}}', repairs)
    assert row == {"event": "a\ufffd", "extra": "1e999", "properties": {"\ufffd": 1}}
    assert repairs == {"nul": 1, "surrogate": 1, "not_finite": 1}


def test_repairs_add_up() -> None:
    """The counter goes on over rows."""
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
    """No JSON, JSON of another kind or JSON without a bottom: each is the same kind of error."""
    with pytest.raises(ValueError, match=r".") as raised:
        repair_row(line, Counter())
    assert isinstance(raised.value, ValueError)


def json_values(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """JSON values of all shapes."""
    return st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    )


@given(properties=st.dictionaries(texts, json_values(st.floats() | texts), max_size=5))
def test_repaired_row_can_be_stored(properties: dict[str, Any]) -> None:
    """What comes out is JSON of UTF-8 without NUL; repaired again, it stays as it is."""
    line = to_json({"event": "a", "properties": properties})
    row = repair_row(line, Counter())
    stored = dump_json(row)

    again: Repairs = Counter()
    assert repair_row(stored.encode(), again) == row
    assert not again
    assert "\\u0000" not in stored.replace("\\\\", "")


@given(raw=st.binary(max_size=20))
def test_any_bytes_in_a_string(raw: bytes) -> None:
    """Bytes that are no UTF-8 cost those bytes and nothing else."""
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
    """Integers of any size come back exactly, and so does everything else."""
    assert json.loads(dump_json(value)) == value


def test_dump_json_is_compact() -> None:
    """The text is the same with and without an integer that takes the slower way."""
    assert dump_json({"é": [1, "a b"]}) == '{"é":[1,"a b"]}'
    assert dump_json({"é": [2**64, "a b"]}) == '{"é":[18446744073709551616,"a b"]}'


def test_big_stream_in_odd_chunks() -> None:
    """Thousands of lines in chunks of odd sizes come out in order, none lost and none twice."""
    lines = [
        b'{"event":"e%d","properties":{"pad":"%s"}}' % (n, b"x" * (n % 700)) for n in range(9_000)
    ]
    body = gzip.compress(b"\n".join(lines), compresslevel=1)
    sizes = random.Random(7)  # noqa: S311 - repeatable
    chunks, start = [], 0
    while start < len(body):
        end = start + sizes.choice((1, 10, 1_000, 70_001))
        chunks.append(body[start:end])
        start = end
    assert read_lines(inflate(chunks)) == lines
