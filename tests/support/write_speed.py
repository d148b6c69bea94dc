"""Measures how fast and in how much memory events are sent, to a server that only counts them.

Run it with `python -m tests.support.write_speed EVENTS [PACE]`. The server is a process of its own,
so that what is measured is the client; it decompresses bodies and counts their lines.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from isal import igzip

from mixpanel_destination.commands.importing import Importer, ImportOptions, Staging
from mixpanel_destination.settings import load_settings

EVENT_BYTES = 900
PROJECT = 1234567


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def serve(ports: multiprocessing.Queue[int], counted: Synchronized[int]) -> None:
    """Answer every import as Mixpanel does when nothing is wrong."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = igzip.decompress(  # type: ignore[no-untyped-call]
                self.rfile.read(int(self.headers["Content-Length"]))
            )
            number = body.count(b"\n") + 1
            with counted.get_lock():
                counted.value += number
            self._answer({"code": 200, "num_records_imported": number, "status": "OK"})

        def do_GET(self) -> None:
            projects = {str(PROJECT): {"name": "Sink", "domain": "mixpanel.com"}}
            self._answer({"status": "ok", "results": {"projects": projects}})

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

        def _answer(self, value: object) -> None:
            text = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    ports.put(server.server_address[1])
    server.serve_forever()


def make_lines(number: int) -> Iterator[bytes]:
    """Yield events of about `EVENT_BYTES`, each with an id."""
    first = int(time.time()) - 20 * 86_400
    filler = {f"property_{n}": f"value {n} of an event" for n in range(12)}
    filler["text"] = "x" * 335
    rest = json.dumps(filler)[1:].encode()
    for n in range(number):
        head = b'{"event":"Order %d","properties":{"time":%d,"distinct_id":"user-%d",' % (
            n % 25,
            first + n % 1_700_000,
            n % 50_000,
        )
        yield head + b'"$insert_id":"e-%d","price":%d.5,' % (n, n % 100) + rest + b"}"


def main() -> None:
    """Measure once, and print the figures."""
    number = int(sys.argv[1])
    pace = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    counted: Synchronized[int] = multiprocessing.Value("q", 0)
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(ports, counted), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ports.get()}"
    with tempfile.TemporaryDirectory(prefix="mixpanel-speed-") as directory:
        os.environ.update(
            DLT_DATA_DIR=str(Path(directory) / "data"),
            DLT_PROJECT_DIR=directory,
            RUNTIME__DLTHUB_TELEMETRY="false",
            RUNTIME__LOG_LEVEL="CRITICAL",
        )
        measure(url, number, pace)
    say(f"{counted.value:,} events arrived")
    server.terminate()


def peak_mb() -> float:
    """Return the peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(url: str, number: int, pace: int) -> None:
    """Import events, and print the time of each step and the peak of memory."""
    hosts = {"base_url": url, "export_base_url": url, "ingestion_base_url": url}
    account = {"username": "x", "secret": "y", "project_id": PROJECT}
    settings = load_settings({**account, **hosts, "pace": pace})
    confirmed_at = staging_cpu_s = staging_mb = 0.0

    def confirm(_staging: Staging) -> bool:
        nonlocal confirmed_at, staging_cpu_s, staging_mb
        confirmed_at, staging_cpu_s = time.monotonic(), time.process_time()
        staging_mb = peak_mb()
        return True

    lines = make_lines(number)
    began_at, began_cpu_s = time.monotonic(), time.process_time()
    result = Importer(settings, ImportOptions()).run(lines, confirm, source="made up")
    staging_s, sending_s = confirmed_at - began_at, time.monotonic() - confirmed_at
    cpu_s = (staging_cpu_s - began_cpu_s, time.process_time() - staging_cpu_s)
    (send,) = result.sends
    say(f"staged {send.staged:,} in {staging_s:.1f} s ({send.staged / staging_s:,.0f}/s)")
    say(f"accepted {send.accepted:,} in {sending_s:.1f} s ({send.accepted / sending_s:,.0f}/s)")
    say(f"processor time {cpu_s[0]:.1f} s and {cpu_s[1]:.1f} s")
    say(f"{send.requests:,} requests; peak memory {staging_mb:,.0f} MB and {peak_mb():,.0f} MB")


if __name__ == "__main__":
    main()
