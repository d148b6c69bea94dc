"""Bytes into blocks of rows: any chunks, any compression, torn rows, bad lines."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source import constants
from mixpanel_source.decode import blocks
from mixpanel_source.decode.blocks import read_blocks
from mixpanel_source.decode.framing import (
    PIECE_BYTES,
    describe_bad_line,
    inflate,
    iter_row_blocks,
    iter_rows,
    join_torn_rows,
    last_row,
)
from mixpanel_source.decode.json_values import repair_row
from mixpanel_source.decode.value_types import EVENT
from mixpanel_source.errors import TruncatedError
from tests.support.json_values import texts, to_json

DEEP_LIST = b"[" * 9_000 + b"]" * 9_000
BOTTOMLESS = b'{"event":' + b"[" * 100_000

rows = st.dictionaries(texts(), texts() | st.integers() | st.booleans(), max_size=4).map(
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


@given(data=st.data(), wanted=st.lists(rows.map(to_json), max_size=6))
def test_lines_survive_any_split(data: st.DataObject, wanted: list[bytes]) -> None:
    """The lines are the same wherever chunks end: in a line, in a character, at a line's end."""
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
    """Concatenated streams are one stream."""
    body = b"".join(gzip.compress(line + b"\n", mtime=0) for line in [b"", *wanted])
    assert b"".join(inflate(data.draw(splits(body)))).split() == b"\n".join(wanted).split()


def test_gzip_cut_anywhere() -> None:
    """A stream without its last bytes is refused, even if all lines are complete."""
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
    """A damaged stream, or one that is not gzip, is refused."""
    with pytest.raises(TruncatedError, match="is damaged"):
        list(inflate([body]))


def test_gzip_blocks_are_bounded() -> None:
    """A stream that expands a thousandfold comes in blocks of bounded size."""
    size = 3 * PIECE_BYTES + 17
    blocks = [*inflate([gzip.compress(bytes(size))])]
    assert max(map(len, blocks)) <= PIECE_BYTES
    assert sum(map(len, blocks)) == size


@given(
    text=texts().map(lambda text: f"}}{text}").filter(lambda text: "\\" not in text),
    breaks=st.lists(st.sampled_from(("\n", "\n\n", "\r\n", "\n \n", "}\n", "}}\n{", '\\"}\n'))).map(
        "x".join
    ),
    data=st.data(),
)
def test_torn_lines_are_joined(text: str, breaks: str, data: st.DataObject) -> None:
    """Raw line breaks inside a string are restored, whatever surrounds them."""
    safe = text.replace('"', "").encode("utf-8", "replace")
    torn = b'{"event":"a","properties":{"text":"' + safe + breaks.encode() + b'"}}'
    plain = b'{"event":"b","properties":{}}'

    lines = read_lines(data.draw(splits(b"\n".join((plain, torn, plain)))))
    assert lines == [plain, torn.replace(b"\n", rb"\n"), plain]
    assert repair_row(torn, Counter())["properties"]["text"].count("\n") == torn.count(b"\n")


@given(data=st.data())
def test_blocks_do_not_depend_on_the_pieces(data: st.DataObject) -> None:
    """The same bytes in other pieces give the same blocks, because rows are counted by block."""
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


def test_torn_rows_in_a_big_block() -> None:
    """A big block is not searched for torn rows; its reader has them joined on meeting a piece."""
    torn = b'{"event":"a","properties":{"text":"}}\n{"}}'
    plain = b'{"event":"b","properties":{"pad":"%s"}}' % (b"x" * constants.SMALL_BLOCK_BYTES)
    body = b"\n".join((plain, torn, plain)) + b"\n"
    (block,) = iter_row_blocks([body])
    assert block == body
    joined = join_torn_rows(block, unreadable=[torn.partition(b"\n")[0]])
    assert joined.split(b"\n") == [plain, torn.replace(b"\n", rb"\n"), plain, b""]
    assert join_torn_rows(block, unreadable=[]) is block
    assert [*iter_rows([body])] == joined.split(b"\n")[:-1]


def test_torn_rows_while_the_scanner_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then a big block is kept as lines, whose torn rows are joined all the same."""
    torn = b'{"event":"a","properties":{"text":"}}\n{"}}'
    plain = b'{"event":"b","properties":{"pad":"%s"}}' % (b"x" * constants.SMALL_BLOCK_BYTES)
    body = b"\n".join((plain, torn, plain)) + b"\n"
    wanted = [plain, torn.replace(b"\n", rb"\n"), plain]
    for is_ready in (False, True):
        monkeypatch.setattr(blocks, "compilation", SimpleNamespace(is_ready=lambda r=is_ready: r))
        [block] = read_blocks(iter_row_blocks([body]), EVENT)
        assert (block.tape is not None) == is_ready
        assert [block.line(number) for number in range(block.row_count)] == wanted


@given(data=st.data(), wanted=st.lists(rows.map(to_json), max_size=6))
def test_rows_one_by_one(data: st.DataObject, wanted: list[bytes]) -> None:
    """Rows are the same wherever chunks end."""
    assert [*iter_rows(data.draw(splits(b"\n".join(wanted))))] == wanted


@pytest.mark.parametrize(
    ("tail", "row"),
    [
        (b"", b""),
        (b" \r\n\n", b""),
        (b'{"a":1}\n{"a":2}\n', b'{"a":2}'),
        (b'{"a":1}\n{"a":"x\ny"}', b'{"a":"x\ny"}'),
        (b'{"a":1}\n{"a":"}\n{}\n{"}\r\n', b'{"a":"}\n{}\n{"}'),
        (b'cut","b":1}\n{"a":"x\n\ny"}\n', b'{"a":"x\n\ny"}'),
        (b'cut","b":1}\nterminated early', b"terminated early"),
        (b'{"a":1}\n{"a":"x\nterminated early', b"terminated early"),
        (b'{"a":1}\n{"a":', b'{"a":'),
        (b"x\n" * 5_000, b"x"),
    ],
)
def test_last_row(tail: bytes, row: bytes) -> None:
    """The last row is found though it is torn, and though the bytes begin within another."""
    assert last_row(tail) == row


def test_unclosed_string_is_given_up() -> None:
    """A string that never ends does not gather the rest of the reply in memory."""
    seen = 0

    def chunks() -> Iterator[bytes]:
        nonlocal seen
        yield b'{"event":"a\n'
        for seen in range(100):  # noqa: B007 - counted for the assertion
            yield b'{"event":"b","properties":{}}\n' * 40_000

    reads = read_blocks(iter_row_blocks(chunks()), EVENT)
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
    """The sentinel is recognized in any spelling, and anywhere in the reply."""
    body = b'{"event":"a","properties":{}}\n' + sentinel
    with pytest.raises(TruncatedError, match="'terminated early'") as raised:
        read_lines([body])
    assert "secret plan" not in str(raised.value)


def test_event_that_speaks_of_termination() -> None:
    """An event may contain `terminated early`, even in its name."""
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
        (b'["secret plan"', "not a whole JSON object"),
        (b'["secret plan"}', "not a whole JSON object"),
        (b'"secret plan', "not a whole JSON object"),
        (b'4,"secret plan"', "not a whole JSON object"),
        (b"nul", "not a whole JSON object"),
        (b"\xef\xbb\xbf{}", "not a whole JSON object"),
        (b"\x00", "not a whole JSON object"),
        pytest.param(BOTTOMLESS + b'"secret plan"', "not a whole JSON object", id="bottomless"),
    ],
)
def test_bad_lines(body: bytes, words: str) -> None:
    """A line that is not a row is refused with the reason and none of its content."""
    with pytest.raises(TruncatedError, match=words) as raised:
        read_lines([body])
    assert "secret plan" not in str(raised.value)


@pytest.mark.parametrize(
    "line", [b'["a"]', b'"a\\"b"', b"42", b"null", b"[" * 9_000 + b"]" * 9_000]
)
@pytest.mark.parametrize("around", [b"", b'{"event":"a","properties":{}}'])
def test_other_whole_values_are_lines(line: bytes, around: bytes) -> None:
    """A line that is JSON but no object is a line like any other; a later stage rejects it."""
    lines = [part for part in (around, line, around) if part]
    assert read_lines([b"\n".join(lines)]) == lines


def test_a_piece_of_a_torn_row_is_no_line() -> None:
    """A line between the ends of a torn row belongs to it, even if it is a JSON value itself."""
    assert read_lines([b'{"event":"a\n42\nnull\nb"}']) == [rb'{"event":"a\n42\nnull\nb"}']


def test_error_object_is_described() -> None:
    """A whole JSON object can be an error message, too, and is described as one."""
    assert "error message" in describe_bad_line(b'{"error": "secret plan"}')


def test_nothing_but_blank_lines() -> None:
    """An empty reply has no lines."""
    assert read_lines([]) == read_lines([b""]) == read_lines([b"\n", b" \r\n", b"\t"]) == []


def test_big_stream_in_odd_chunks() -> None:
    """Thousands of lines in chunks of odd sizes come in order, none lost and none repeated."""
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
