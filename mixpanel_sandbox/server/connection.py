"""One connection to the sandbox: requests read, replies written, both remembered."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from ..messages import Ending, Params, Reply, Request, parse_request
from .dispatcher import Service
from .encoding import iter_wire

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass
class Record:
    """One request as it happened; times are `time.monotonic()` seconds."""

    method: str
    path: str
    params: Params
    """Of the URL and of the body."""
    started: float
    ended: float | None = None
    """When the last bytes went to the socket; None while it goes on."""
    status: int = 0
    """0 until a status line is sent."""
    bytes_sent: int = 0
    """Head, framing and body."""
    fault: str | None = None
    """Name of the fault that struck."""


class Site:
    """What all connections share: the service, the open sockets and the records."""

    def __init__(self, service: Service, log: Callable[[str], object] | None) -> None:
        """Start without connections.

        Args:
            service: Answers the requests.
            log: Called with one line for each request.
        """
        self.service = service
        self.closing = threading.Event()
        self._log = log
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._open: set[socket.socket] = set()

    def begin(self, request: Request, started: float) -> Record:
        """Remember a request that has come."""
        record = Record(request.method, request.path, request.params, started)
        with self._lock:
            self._records.append(record)
        return record

    def end(self, record: Record) -> None:
        """Note that a request is over."""
        record.ended = time.monotonic()
        if self._log is not None:
            took_s = record.ended - record.started
            fault = f" fault={record.fault}" if record.fault else ""
            self._log(
                f"{record.method} {record.path} {record.status} "
                f"{record.bytes_sent} bytes {took_s:.3f} s{fault}"
            )

    def records(self) -> list[Record]:
        """Return the requests in the order of their start."""
        with self._lock:
            return sorted(self._records, key=lambda record: record.started)

    def forget(self) -> None:
        """Drop all records."""
        with self._lock:
            self._records.clear()

    def opened(self, connection: socket.socket) -> None:
        """Remember a socket, to be able to hang up on it."""
        with self._lock:
            self._open.add(connection)
        if self.closing.is_set():
            _shut(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a socket."""
        with self._lock:
            self._open.discard(connection)

    def reopen(self) -> None:
        """Take connections again after `hang_up`."""
        self.closing.clear()

    def hang_up(self) -> None:
        """End all waiting and every connection."""
        self.closing.set()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            _shut(connection)


class Handler(BaseHTTPRequestHandler):
    """Reads requests off one connection until either side closes it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    site: Site

    def setup(self) -> None:
        """Remember the connection."""
        super().setup()
        self.site.opened(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        self.site.closed(self.connection)
        super().finish()

    def do_GET(self) -> None:
        """Answer a request."""
        started = time.monotonic()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = parse_request(self.command, self.path, self.headers, body)
        record = self.site.begin(request, started)
        try:
            with self.site.service.answer(request) as answer:
                record.fault = answer.fault.name if answer.fault else None
                last = self._send(answer.reply, record, accepts_gzip=request.accepts_gzip)
            # the request is over before the client can see the end, and look or ask again
            self.site.end(record)
            self._end(answer.reply, last)
        finally:
            if record.ended is None:
                self.site.end(record)

    do_POST = do_GET  # noqa: N815 - the base class looks for this name

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet; requests are logged by the site."""

    def _send(self, reply: Reply, record: Record, *, accepts_gzip: bool) -> bytes:
        """Send all of a reply but its last piece, which is returned."""
        self.site.closing.wait(reply.delay_s)
        last = b""
        for piece in iter_wire(reply, accepts_gzip=accepts_gzip):
            self.wfile.write(last)
            record.status = reply.status
            record.bytes_sent += len(piece)
            last = piece
        self.site.closing.wait(reply.stall_s)
        return last

    def _end(self, reply: Reply, last: bytes) -> None:
        self.wfile.write(last)
        if reply.ending is not Ending.WHOLE:
            self.close_connection = True
        if reply.ending is Ending.RESET:
            self._reset()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.site.closed(self.connection)
        socket.close(self.connection.detach())


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
