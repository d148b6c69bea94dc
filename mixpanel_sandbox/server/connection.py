"""Connections: reads requests from sockets and writes responses to them."""

from __future__ import annotations

import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ..messages import Ending, Response, parse_request
from .dispatcher import Dispatcher
from .encoding import encode
from .request_log import Record, RequestLog

Incoming = socket.socket | tuple[bytes, socket.socket]

# SO_LINGER with a timeout of 0 s: close() sends RST instead of FIN
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class OpenConnections:
    """The open client sockets, so that the server can close them when it stops."""

    def __init__(self) -> None:
        """Start without connections."""
        self.closing = threading.Event()
        """Set while the server shuts down; ends the delays of slow responses."""
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def add(self, connection: socket.socket) -> None:
        """Register a socket; it is shut down at once if the server is stopping."""
        with self._lock:
            self._sockets.add(connection)
        if self.closing.is_set():
            _shut_down(connection)

    def discard(self, connection: socket.socket) -> None:
        """Unregister a socket."""
        with self._lock:
            self._sockets.discard(connection)

    def reopen(self) -> None:
        """Accept connections again after `close`."""
        self.closing.clear()

    def close(self) -> None:
        """Shut down every socket and end all delays."""
        self.closing.set()
        with self._lock:
            connections = list(self._sockets)
        for connection in connections:
            _shut_down(connection)


class ConnectionHandler(BaseHTTPRequestHandler):
    """Answers the requests of one connection until either side closes it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    dispatcher: Dispatcher
    log: RequestLog
    connections: OpenConnections
    clock: Callable[[], float]
    region: str

    def setup(self) -> None:
        """Register the connection."""
        super().setup()
        self.connections.add(self.connection)

    def finish(self) -> None:
        """Unregister the connection."""
        self.connections.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        """Answer a request."""
        started = time.monotonic()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = parse_request(self.command, self.path, self.headers, body)
        request = replace(request, region=self.region)
        record = self.log.begin(request, started)
        try:
            with self.dispatcher.dispatch(request) as result:
                record.fault = result.fault.name if result.fault else None
                last = self._send(result.response, record, accepts_gzip=request.accepts_gzip)
            # finish before the client sees the end of the response: it may read the log, or send
            # its next request, at once
            self.log.end(record)
            self._end(result.response, last)
        finally:
            if record.ended is None:
                self.log.end(record)

    # names required by the base class
    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing; `RequestLog` logs the requests."""

    def _send(self, response: Response, record: Record, *, accepts_gzip: bool) -> bytes:
        """Send a response except for its last piece, which is returned."""
        self.connections.closing.wait(response.delay_s)
        last = b""
        date = {"Date": formatdate(self.clock(), usegmt=True)}
        response = replace(response, headers={**date, **response.headers})
        for piece in encode(response, accepts_gzip=accepts_gzip):
            self.wfile.write(last)
            record.status = response.status
            record.bytes_sent += len(piece)
            last = piece
        self.connections.closing.wait(response.stall_s)
        return last

    def _end(self, response: Response, last: bytes) -> None:
        self.wfile.write(last)
        if response.ending is not Ending.COMPLETE:
            self.close_connection = True
        if response.ending is Ending.RESET:
            self._reset()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.connections.discard(self.connection)
        socket.close(self.connection.detach())


class HttpServer(ThreadingHTTPServer):
    """A thread per connection; ignores clients that disconnect."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        *,
        dispatcher: Dispatcher,
        log: RequestLog,
        connections: OpenConnections,
        clock: Callable[[], float],
        region: str,
    ) -> None:
        """Listen on an address, as the hosts of a region."""
        shared = {"dispatcher": dispatcher, "log": log, "connections": connections}
        shared |= {"clock": staticmethod(clock), "region": region}
        super().__init__(address, type("BoundHandler", (ConnectionHandler,), shared))

    def server_bind(self) -> None:
        """Bind without looking up the host name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Incoming, client_address: object) -> None:
        """Report errors other than disconnects."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
