"""Serves a directory of data as Mixpanel would, and as fast as the disk allows.

Everything is compressed beforehand, so the server takes next to nothing of the processors that the
contenders need. Credentials are not looked at. Several days are sent one after the other, each a
gzip member of its own. Tools that have Mixpanel's hosts built in reach it as their HTTPS proxy: it
answers CONNECT to any host itself, with a certificate of an authority made up for the run.

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
    parser.add_argument("--authority", type=Path, help="where to write the certificate to trust")
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
    """A certificate for the hosts of Mixpanel, whose authority goes to `authority_file`."""
    import trustme  # noqa: PLC0415 - only needed to stand in for the real hosts

    authority = trustme.CA()
    authority.cert_pem.write_to_path(authority_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(context)
    return context


class Server(ThreadingHTTPServer):
    """A server that does not mind clients that hang up."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet about connections that broke."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

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
        params = parse_qs(f"{address.query}&{form}")
        asked = {name: values[0] for name, values in params.items()}
        route = address.path.rstrip("/")
        if route.endswith("/export"):
            self._send(self._days(asked), content_type="text/plain")
        elif route.endswith("/engage"):
            self._send(self._profiles(asked))
        elif route.endswith("/cohorts/list"):
            self._send(_json(COHORTS))
        elif route.endswith("/events/properties/top"):
            self._send(_json({name: {"count": 1} for name in property_types()}))
        elif route.endswith("/engage/properties"):
            self._send(_json({"status": "ok", "results": {"$name": {"type": "string"}}}))
        else:
            self.send_error(404)

    do_POST = do_GET  # noqa: N815 - the base class looks for this name

    def do_CONNECT(self) -> None:
        """Be the host that is asked for."""
        if self.tls is None:
            self.send_error(501)
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.wfile.flush()
        self.request = self.tls.wrap_socket(self.connection, server_side=True)
        self.setup()
        self.close_connection = False

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""

    def _days(self, asked: dict[str, str]) -> Iterator[bytes]:
        """The files of the days, a piece at a time."""
        for day in self.manifest.days:
            if asked["from_date"] <= day.day <= asked["to_date"]:
                with day_path(self.directory, day.day).open("rb") as file:
                    while piece := file.read(READ_BYTES):
                        yield piece

    def _profiles(self, asked: dict[str, str]) -> Iterator[bytes]:
        """A page; its size is fixed, whatever is asked for."""
        number = int(asked.get("page") or 0)
        head = json.dumps(
            {
                "page": number,
                "page_size": PAGE_ROWS,
                "session_id": asked.get("session_id") or "1234567890-BENCH",
                "status": "ok",
                "total": self.manifest.profiles,
            }
        )
        yield gzip.compress(f'{head[:-1]},"results":['.encode())
        if number * PAGE_ROWS < self.manifest.profiles:
            yield page_path(self.directory, number).read_bytes()
        yield gzip.compress(b"]}")

    def _send(self, pieces: Iterator[bytes], *, content_type: str = "application/json") -> None:
        zipped = "gzip" in self.headers.get("Accept-Encoding", "")
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        if zipped:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        for piece in pieces if zipped else _inflate(pieces):
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def _json(value: object) -> Iterator[bytes]:
    yield gzip.compress(json.dumps(value).encode())


def _inflate(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of gzip members, for clients that do not ask for gzip."""
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
