"""Serves a data set like Mixpanel, as fast as the disk allows.

Everything is compressed beforehand, so the server leaves nearly all CPU time to the contenders.
Credentials are ignored. Several days are sent one after the other, each as a gzip member. Tools
with hard-coded hosts use the server as their HTTPS proxy: it answers CONNECT to any host itself,
with a certificate of a temporary CA.

`python -m benchmarks.server DIR` prints its address as a line of JSON and serves until killed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import ssl
import sys
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from .data import PAGE_ROWS, Manifest, day_path, page_path, read_manifest
from .generator import property_types

READ_BYTES = 1024 * 1024
CHANGED = "/changed"
"""Path of a base URL whose profiles have changed since they were served without it."""
HOSTS = [
    prefix + "mixpanel.com"
    for prefix in ("", "data.", "eu.", "data-eu.", "in.", "data-in.", "api.", "*.")
]
COHORTS = [{"id": 1, "name": "Everyone", "count": 1, "created": "2026-01-01 00:00:00"}]


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--authority", type=Path, help="file for the CA certificate")
    options = parser.parse_args()
    manifest = read_manifest(options.directory)
    if manifest is None:
        parser.error(f"no data in {options.directory}")
    Handler.directory, Handler.manifest = options.directory, manifest
    if options.authority:
        Handler.tls = make_tls(options.authority)
    server = Server(("127.0.0.1", options.port), Handler)
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    server.serve_forever()


def make_tls(authority_file: Path) -> ssl.SSLContext:
    """Create a certificate for Mixpanel's hosts; that of its CA is written to a file."""
    import trustme  # noqa: PLC0415 - only needed to replace the real hosts

    authority = trustme.CA()
    authority.cert_pem.write_to_path(authority_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(context)
    return context


class Server(ThreadingHTTPServer):
    """A server that ignores clients that disconnect."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore broken connections."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of a connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = READ_BYTES
    disable_nagle_algorithm = True
    directory: Path
    manifest: Manifest
    tls: ssl.SSLContext | None = None

    def do_GET(self) -> None:
        """Answer a request."""
        form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        address = urlsplit(self.path)
        values = parse_qs(f"{address.query}&{form}")
        params = {name: given[0] for name, given in values.items()}
        route = address.path.rstrip("/")
        if route.endswith("/export"):
            self._send(self._days(params), content_type="text/plain")
        elif route.endswith("/engage"):
            self._send(self._profiles(params, changed=route.startswith(CHANGED)))
        elif route.endswith("/cohorts/list"):
            self._send(_json(COHORTS))
        elif route.endswith("/events/properties/top"):
            self._send(_json({name: {"count": 1} for name in property_types()}))
        elif route.endswith("/engage/properties"):
            self._send(_json({"status": "ok", "results": {"$name": {"type": "string"}}}))
        else:
            self.send_error(404)

    do_POST = do_GET  # noqa: N815 - name required by the base class

    def do_CONNECT(self) -> None:
        """Act as the requested host."""
        if self.tls is None:
            self.send_error(501)
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.wfile.flush()
        self.request = self.tls.wrap_socket(self.connection, server_side=True)
        self.setup()
        self.close_connection = False

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def _days(self, params: dict[str, str]) -> Iterator[bytes]:
        """Yield the files of the requested days in pieces."""
        for day in self.manifest.days:
            if params["from_date"] <= day.day <= params["to_date"]:
                with day_path(self.directory, day.day).open("rb") as file:
                    while piece := file.read(READ_BYTES):
                        yield piece

    def _profiles(self, params: dict[str, str], *, changed: bool) -> Iterator[bytes]:
        """Yield a page, whose size is fixed."""
        number = int(params.get("page") or 0)
        head = json.dumps(
            {
                "page": number,
                "page_size": PAGE_ROWS,
                "session_id": params.get("session_id") or "1234567890-BENCH",
                "status": "ok",
                "total": self.manifest.profiles,
            }
        )
        yield gzip.compress(f'{head[:-1]},"results":['.encode())
        if number * PAGE_ROWS < self.manifest.profiles:
            yield page_path(self.directory, number, changed=changed).read_bytes()
        yield gzip.compress(b"]}")

    def _send(self, pieces: Iterator[bytes], *, content_type: str = "application/json") -> None:
        compressed = "gzip" in self.headers.get("Accept-Encoding", "")
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        if compressed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        for piece in pieces if compressed else _inflate(pieces):
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def _json(value: object) -> Iterator[bytes]:
    yield gzip.compress(json.dumps(value).encode())


def _inflate(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip members, for clients that do not accept gzip."""
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for piece in pieces:
        yield stream.decompress(piece)
        while stream.eof:
            rest, stream = stream.unused_data, zlib.decompressobj(zlib.MAX_WBITS | 16)
            if not rest:
                break
            yield stream.decompress(rest)


if __name__ == "__main__":
    main()
