"""A server that sends the bytes it is given, however broken they are."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

Params = dict[str, str]
Answer = Callable[[str, Params], "bytes | Iterable[bytes]"]
"""(path, parameters of the query string and the form) -> the reply, from its status line on."""


@dataclass
class RawServer:
    """The address of a running server, and what it was asked."""

    url: str
    requests: list[tuple[str, Params]] = field(default_factory=list)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Answer one request, then close the connection."""
        words = self.rfile.readline().split()
        if len(words) < 2:
            return
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        url = urlsplit(words[1].decode())
        text = f"{url.query}&{self.rfile.read(length).decode()}"
        params = {name: values[-1] for name, values in parse_qs(text).items()}
        reply = self.server.take(url.path, params)  # type: ignore[attr-defined]
        with suppress(OSError):
            for piece in [reply] if isinstance(reply, bytes) else reply:
                self.wfile.write(piece)
                self.wfile.flush()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True


@contextmanager
def raw_server(answer: Answer | bytes) -> Iterator[RawServer]:
    """Run a server for as long as the context is open.

    Args:
        answer: the reply to every request, or what makes it.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    running = RawServer(f"http://127.0.0.1:{server.server_address[1]}")

    def take(path: str, params: Params) -> bytes | Iterable[bytes]:
        running.requests.append((path, params))
        return answer if isinstance(answer, bytes) else answer(path, params)

    server.take = take  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def http(body: bytes, status: int = 200, *headers: str) -> bytes:
    """A well-formed reply."""
    lines = [f"HTTP/1.1 {status} Reason", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def http_json(value: object, status: int = 200) -> bytes:
    """A well-formed reply with a JSON value."""
    return http(json.dumps(value).encode(), status)
