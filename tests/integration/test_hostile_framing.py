"""Bodies count as whole only if what framed them says so; endless ones are given up."""

from __future__ import annotations

import gc
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mixpanel_source import constants
from mixpanel_source.api.client import Client
from mixpanel_source.api.reply import Reply
from mixpanel_source.config.build import build_config
from mixpanel_source.errors import MixpanelError, RequestError, ServerError, TruncatedError
from tests.integration.test_refused_replies import ENGAGE, settings
from tests.support.clock import Clock
from tests.support.raw_server import Answer, raw_server

BODY = b'[{"id": 1}]'
GZIP = gzip.compress(BODY)
HALF = len(GZIP) // 2


def reply(*headers: str, body: bytes = BODY, version: str = "1.1") -> bytes:
    """A reply with just these headers, after which the connection is closed."""
    return "\r\n".join([f"HTTP/{version} 200 OK", *headers, "", ""]).encode() + body


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n", headers: tuple[str, ...] = ()) -> bytes:
    """A chunked reply."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end
    return reply("Transfer-Encoding: chunked", *headers, body=body)


def send(answer: Answer | bytes, directory: Path, **given: Any) -> bytes:
    """The body of one reply; a reply that is not whole is not requested again."""
    with raw_server(answer) as server:
        values = {**settings(server.url), "retries": 0, "requests_per_second": 1000, **given}
        client = Client(build_config(values), clock=Clock(), directory=directory)
        return client.send(ENGAGE, Reply.body)


def length(number: object) -> str:
    """The header with the length of a body."""
    return f"Content-Length: {number}"


ZIPPED = "Content-Encoding: gzip"
SIZE = len(BODY)

WHOLE = {
    "length": reply(length(SIZE)),
    "length twice": reply(length(SIZE), length(SIZE)),
    "length in HTTP/1.0": reply(length(SIZE), version="1.0"),
    "chunks": chunked(BODY[:4], BODY[4:]),
    "chunks and length": chunked(BODY, headers=(length(3),)),
    "chunks with trailers": chunked(BODY, end=b"0\r\nX-Sum: 1\r\n\r\n"),
    "gzip": reply(length(len(GZIP)), ZIPPED, body=GZIP),
    "gzip members": chunked(gzip.compress(BODY[:3]) + gzip.compress(BODY[3:]), headers=(ZIPPED,)),
    "gzip without length": reply(ZIPPED, body=GZIP),
    "more than the length": reply(length(SIZE), body=BODY + b"junk"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_bodies(kind: str, tmp_path: Path) -> None:
    """A body with a proper end is taken."""
    assert send(WHOLE[kind], tmp_path) == BODY


CUT = {
    "no length": reply(),
    "no length in HTTP/1.0": reply(version="1.0"),
    "length that is no number": reply(length("abc")),
    "length with a fraction": reply(length("11.0")),
    "length with a sign": reply(length(f"+{SIZE}")),
    "length with an underscore": reply(length("1_1")),
    "negative length": reply(length(-1)),
    "empty length": reply(length("")),
    "hexadecimal length": reply(length("0xb")),
    "longer than the body": reply(length(SIZE + 1)),
    "identity encoding": reply("Transfer-Encoding: identity"),
    "chunks without an end": chunked(BODY, end=b""),
    "chunk cut off": reply("Transfer-Encoding: chunked", body=b"b\r\n" + BODY[:5]),
    "chunk of no size": reply("Transfer-Encoding: chunked", body=b"zz\r\n" + BODY),
    "chunk of negative size": reply("Transfer-Encoding: chunked", body=b"-b\r\n" + BODY + b"\r\n"),
    "nothing but a length": reply(length(5), body=b""),
    "gzip cut off": reply(ZIPPED, body=GZIP[:HALF]),
    "gzip without its trailer": chunked(GZIP[:-8], headers=(ZIPPED,)),
    "gzip and junk": chunked(GZIP, b"junk", headers=(ZIPPED,)),
    "gzip with a wrong sum": chunked(GZIP[:-8] + b"\0" * 8, headers=(ZIPPED,)),
    "second member cut off": chunked(GZIP + GZIP[:HALF], headers=(ZIPPED,)),
    "members without length": reply(ZIPPED, body=GZIP + GZIP),
    "not gzip": reply(length(SIZE), ZIPPED),
    "no status": b"",
    "no headers": b"HTTP/1.1 200 OK\r\nContent-Le",
}


@pytest.mark.parametrize("kind", CUT)
def test_bodies_without_a_proper_end(kind: str, tmp_path: Path) -> None:
    """A body whose end is not certain may be cut off, however well it reads."""
    with pytest.raises((TruncatedError, ServerError), match=r"^engage page 0: "):
        send(CUT[kind], tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_lengths_that_contradict_each_other(tmp_path: Path) -> None:
    """On two lines or on one; the HTTP library does not close the connection then."""
    for headers in ((length(SIZE), length(SIZE + 1)), (length(f"{SIZE}, {SIZE + 1}"),)):
        with pytest.raises(TruncatedError, match="the reply contradicts itself on where it ends"):
            send(reply(*headers), tmp_path)
    gc.collect()


def test_endless_body_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply that is larger than memory allows is refused, compressed or not."""
    monkeypatch.setattr(constants, "MAX_BODY_BYTES", 5_000_000)

    def endless(*_: object) -> Iterator[bytes]:
        yield reply("Transfer-Encoding: chunked", body=b"")
        while True:
            yield b"10000\r\n" + b" " * 0x10000 + b"\r\n"

    bomb = gzip.compress(b" " * 20_000_000)
    for answer in (endless, reply(length(len(bomb)), ZIPPED, body=bomb)):
        with pytest.raises(RequestError, match="has more than 5,000,000 bytes"):
            send(answer, tmp_path)


def test_refusal_without_end(tmp_path: Path) -> None:
    """Of a refusal as much is read as matters, and a connection that breaks does not hide it."""

    def endless(*_: object) -> Iterator[bytes]:
        yield b"HTTP/1.1 400 Bad\r\n\r\nno such cohort "
        while True:
            yield b"and so on " * 1000

    broken = b'HTTP/1.1 400 Bad\r\nContent-Length: 900\r\n\r\n{"error": "no such cohort '
    for answer in (endless, broken):
        with pytest.raises(RequestError, match='status 400, "no such cohort') as caught:
            send(answer, tmp_path, retries=5)
        assert isinstance(caught.value, MixpanelError)
        assert len(str(caught.value)) < 400


class Dripping:
    """A raw response of which a byte a minute arrives."""

    chunked = True

    def __init__(self, clock: Clock, size: int) -> None:
        self.clock = clock
        self.left = size

    def read1(self, _size: int, *, decode_content: bool) -> bytes:
        """The next byte."""
        assert not decode_content
        self.clock.advance(seconds=60)
        self.left -= 1
        return b" " if self.left else b""


class Response:
    """A response with such a body."""

    def __init__(self, clock: Clock, size: int) -> None:
        self.raw = Dripping(clock, size)
        self.headers: dict[str, str] = {}


@pytest.mark.parametrize(("seconds", "words"), [(300, "5 bytes in 300 s"), (1e9, "had not ended")])
def test_drips(seconds: float, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that arrives byte by byte is given up, and one that takes half a day."""
    monkeypatch.setattr(constants, "PACE_SECONDS", seconds)
    clock = Clock()
    dripping: Any = Response(clock, 10_000)
    with pytest.raises(ServerError, match=words):
        Reply(dripping, started_at=0, tries=1, now=clock.time).body()
    assert dripping.raw.left > 9_000


def test_short_reply_may_take_its_time() -> None:
    """The last bytes may come late."""
    clock = Clock()
    dripping: Any = Response(clock, 5)
    assert Reply(dripping, started_at=0, tries=1, now=clock.time).body() == b" " * 4
