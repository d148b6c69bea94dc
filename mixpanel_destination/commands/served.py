"""What the project serves: its raw export, as keys and contents of events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mixpanel_source import request
from mixpanel_source.api.clock import Clock
from mixpanel_source.decode.framing import iter_rows

from ..rows.fingerprints import Served, served_event
from ..settings import Settings

WINDOW_ROWS = 2_000_000
WINDOW_DAYS = 31
"""Maximum expected events, and days, of one request."""
CHUNK_ROWS = 50_000
SERVED = pa.schema(
    [
        ("key", pa.string()),
        ("content", pa.string()),
        ("day", pa.string()),
        ("event", pa.string()),
        ("insert_id", pa.string()),
    ]
)
DAY = timedelta(days=1)


def read_settings(settings: Settings) -> dict[str, Any]:
    """The settings with which `mixpanel_source` reads the project that is written to."""
    return {
        "username": settings.username,
        "secret": settings.secret,
        "project_id": settings.project_id,
        "region": settings.region,
        "base_url": settings.base_url,
        "export_base_url": settings.export_base_url,
        "ingestion_base_url": settings.ingestion_base_url,
    }


def windows(rows_by_day: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Windows of consecutive days that cover all days, each small enough for one request.

    Args:
        rows_by_day: YYYY-MM-DD -> expected rows.
    """
    first = last = ""
    rows = 0
    for day, number in sorted(rows_by_day.items()):
        is_next = last and date.fromisoformat(last) + DAY == date.fromisoformat(day)
        days = (date.fromisoformat(day) - date.fromisoformat(first)).days if first else 0
        if not is_next or rows + number > WINDOW_ROWS or days >= WINDOW_DAYS:
            if first:
                yield first, last
            first, rows = day, 0
        last = day
        rows += number
    if first:
        yield first, last


def export_lines(
    settings: dict[str, Any], first: str, last: str, *, clock: Clock, max_wait_s: float
) -> Iterator[bytes]:
    """The lines of the raw export of some days, once all of it has arrived.

    Raises:
        MixpanelError: it cannot be read; see `mixpanel_source.request`.
    """
    params = {"from_date": first, "to_date": last, "time_in_ms": "true"}
    with request(
        "GET", "/api/2.0/export", params, clock=clock, max_wait_s=max_wait_s, **settings
    ) as response:
        yield from iter_rows(response.chunks())


def write_served(path: Path, lines: Iterable[bytes]) -> int:
    """Write keys and contents of an export to a file; returns the number of lines that are none.

    Args:
        path: of the file, Parquet; see `SERVED`.
        lines: of the export.
    """
    odd = 0
    with pq.ParquetWriter(path, SERVED) as writer:
        rows: list[Served] = []
        for line in lines:
            try:
                rows.append(served_event(line))
            except (ValueError, AttributeError):
                odd += 1
            if len(rows) == CHUNK_ROWS:
                writer.write_table(_table(rows))
                rows = []
        writer.write_table(_table(rows))
    return odd


def _table(rows: Sequence[Served]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(SERVED)
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=SERVED)
