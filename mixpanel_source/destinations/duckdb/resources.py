"""How much of the machine a load into DuckDB takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from dlt.common.destination.exceptions import DestinationException
from dlt.destinations.sql_client import SqlClientBase

from ... import constants
from ...decode.parallel import available_processors

_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux says how much memory a container may use: version 2 of cgroups, and version 1."""
_SHARE = 4
"""DuckDB gets this fraction of the memory; the rest is for decoding and for other programs."""
_WIDE_SHARE = 2
"""The same for a table with hundreds of columns."""
_COLUMN_BYTES = 1_600_000
"""Memory for each column of a table: DuckDB builds groups of 122,880 rows in memory."""
_THREAD_BYTES = 120_000_000
"""Memory for each thread; with less, DuckDB fails on wide tables."""
_THREAD_ROWS = 3 * 122_880
"""Minimum rows that a thread inserts: several of DuckDB's row groups.

A thread's last row group is incomplete. DuckDB merges these at the commit and writes them again at
the checkpoint, which takes time, and leaves as much unused space in the file.
"""


class Resources(NamedTuple):
    """Settings of DuckDB for a load."""

    memory_limit: str
    threads: int


@contextmanager
def limited_resources(
    client: SqlClientBase[Any],
    files: Iterable[str],
    *,
    columns: int,
    memory_factor: int = 1,
    **settings: str | int,
) -> Iterator[None]:
    """Limit what DuckDB takes to insert the rows of parquet files, where the user has not.

    Args:
        client: dlt's SQL client, connected.
        files: to be inserted.
        columns: of the table.
        memory_factor: as of `resources_for`.
        settings: more settings of DuckDB, or other values than `resources_for` has.
    """
    limits: dict[str, object] = {
        **resources_for(files, columns=columns, memory_factor=memory_factor)._asdict(),
        # a table has no order, and preserving that of the files doubles time and memory
        "preserve_insertion_order": False,
        **settings,
    }
    credentials: Any = client.credentials
    configured = credentials.global_config or {}
    names = [name for name in limits if name not in configured]
    for name in names:
        client.execute_sql(f"SET {name} = '{limits[name]}'")
    try:
        yield
    finally:
        # the connection may be one that a script has passed to dlt; if it is lost, so is the limit
        with suppress(DestinationException):
            for name in names:
                client.execute_sql(f"RESET {name}")


def resources_for(files: Iterable[str], *, columns: int, memory_factor: int = 1) -> Resources:
    """The resources for inserting the rows of parquet files into a table.

    Args:
        files: to be inserted.
        columns: of the table.
        memory_factor: memory in relation to that for a table in a file of DuckDB.
    """
    # only where rows are loaded: Arrow takes long to import
    from pyarrow import parquet as pq  # noqa: PLC0415

    rows = sum(pq.read_metadata(file).num_rows for file in files)
    most = constants.DUCKDB_BYTES_MAX * memory_factor
    memory = min(most, max(_THREAD_BYTES, machine_bytes() // _SHARE))
    threads = min(available_processors(), memory // _THREAD_BYTES, rows // _THREAD_ROWS)
    # with less, DuckDB fails
    memory = max(
        memory, min(columns * _COLUMN_BYTES * memory_factor, machine_bytes() // _WIDE_SHARE)
    )
    return Resources(f"{memory}B", max(1, threads))


def machine_bytes() -> int:
    """The memory of the machine or, if that is less, of the container."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if os.name != "nt" else []
    for path in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # none is set: there is no such file, or it says "max"
            sizes.append(int(path.read_text()))
    return min(sizes, default=constants.DUCKDB_BYTES_MAX * _SHARE)
