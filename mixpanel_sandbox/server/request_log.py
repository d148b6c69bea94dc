"""The log of all requests a sandbox has received."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..messages import Params, Request


@dataclass
class Record:
    """A request and its outcome; times are `time.monotonic()` seconds."""

    method: str
    path: str
    params: Params
    """Parameters of the query string and, on the query and export hosts, of the body."""
    started: float
    ended: float | None = None
    """When the last bytes were written to the socket; None while the request is running."""
    status: int = 0
    """0 until the status line is sent."""
    bytes_sent: int = 0
    """Head, framing and body."""
    bytes_received: int = 0
    """Body as sent, possibly compressed."""
    fault: str | None = None
    """Name of the injected fault."""


class RequestLog:
    """Records of all requests, in a list that any thread may read."""

    def __init__(self, write: Callable[[str], object] | None) -> None:
        """Start without records.

        Args:
            write: Called with one line per finished request.
        """
        self._write = write
        self._lock = threading.Lock()
        self._records: list[Record] = []

    def begin(self, request: Request, started: float) -> Record:
        """Add a record for a received request."""
        record = Record(request.method, request.path, request.params, started)
        record.bytes_received = len(request.body)
        with self._lock:
            self._records.append(record)
        return record

    def end(self, record: Record) -> None:
        """Mark a request as finished."""
        record.ended = time.monotonic()
        if self._write is not None:
            took_s = record.ended - record.started
            fault = f" fault={record.fault}" if record.fault else ""
            self._write(
                f"{record.method} {record.path} {record.status} "
                f"{record.bytes_sent} bytes {took_s:.3f} s{fault}"
            )

    def records(self) -> list[Record]:
        """Return all records, ordered by the start of the request."""
        with self._lock:
            return sorted(self._records, key=lambda record: record.started)

    def clear(self) -> None:
        """Drop all records."""
        with self._lock:
            self._records.clear()
