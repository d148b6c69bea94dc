"""Facts about Mixpanel, and tuning parameters that are not settings.

Constants only. Settings, their defaults and their bounds are in `config.model`.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Hosts(NamedTuple):
    """Base addresses of the hosts of a region.

    Source: https://developer.mixpanel.com/reference/overview (data residency).
    """

    query: str
    """Profiles, cohorts, reports and the app API."""
    export: str
    """Raw events and data pipelines."""
    ingestion: str
    """Lookup tables."""


REGIONS: Final[dict[str, Hosts]] = {
    "us": Hosts("https://mixpanel.com", "https://data.mixpanel.com", "https://api.mixpanel.com"),
    "eu": Hosts(
        "https://eu.mixpanel.com", "https://data-eu.mixpanel.com", "https://api-eu.mixpanel.com"
    ),
    "in": Hosts(
        "https://in.mixpanel.com", "https://data-in.mixpanel.com", "https://api-in.mixpanel.com"
    ),
}

ENGAGE_PAGE_SIZE: Final = 1_000
"""Profiles per page, if the response does not state it.

Source: https://developer.mixpanel.com/reference/engage-query.
"""

REQUESTS_PER_HOUR: Final = 60
"""Raw export and the Query API each allow 60 requests in a rolling hour.

Source: https://developer.mixpanel.com/reference/rate-limits.
"""

CONNECT_TIMEOUT_SECONDS: Final = 10.0
READ_TIMEOUT_SECONDS: Final = 300.0
"""Between two reads; an export may take minutes to send its first byte."""

PACE_SECONDS: Final = 300.0
PACE_BYTES_MIN: Final = 4_096
"""A reply of which fewer bytes arrive in `PACE_SECONDS` is given up."""
REPLY_SECONDS_MAX: Final = 12 * 3_600.0
"""Maximum time that a reply may take."""
EXPORT_BYTES_MAX: Final = 512 * 1024 * 1024 * 1024
"""Maximum bytes, decompressed, of a reply that is written to disk."""
DUMP_PAGES_MAX: Final = 1_000_000
DUMP_SECONDS_MAX: Final = 24 * 3_600.0
"""Maximum pages and time of one dump of profiles."""
REFUSAL_SECONDS_MAX: Final = 30.0
"""Maximum time for reading what a refusal says."""

QUOTA_PATIENCE_SECONDS: Final = 6 * 3_600.0
"""Maximum wait for the quota, and for another job, unless the caller sets another."""
LOCK_POLL_SECONDS: Final = 2.0
"""Between two attempts to lock what another job holds."""
SHORT_WAIT_SECONDS: Final = 60.0
"""Before a wait longer than this, a sync loads what it has fetched, and reports the wait."""

LOOKBACK_DAYS_MAX: Final = 366
"""Maximum of `lookback_days`: the ledger keeps for this long when a day was last read."""
AUTO_WINDOW_DAYS_MAX: Final = 31
"""Maximum days per request with `window_days = auto`: a year takes a dozen requests."""
AUTO_WINDOW_BYTES: Final = 32 * 1024 * 1024
"""Uncompressed bytes that a response should have with `window_days = auto`.

Large enough that the pause between requests is short in comparison; small enough to be repeated
when a request fails, and to end a load package close to its intended size.
"""
SPLIT_DAYS_ABOVE: Final = 20_000_000
"""Default of `split_days_above`: about 3 GB as they travel, and 18 GB of lines."""
BIG_REPLY_BYTES: Final = 64 * 1024 * 1024
BIG_REPLY_ROWS: Final = 1_000_000
"""A reply that failed after as many bytes, or that was expected to have as many events, may have
failed for its size: a day is then requested in halves."""
MAX_COLUMNS: Final = 1_000
"""Default of `max_columns`."""

PIPELINE_NAME: Final = "mixpanel"
DATASET_NAME: Final = "mixpanel"
DUCKDB_FILE: Final = "mixpanel.duckdb"

CHECKPOINT_BYTES: Final = 2 * 1024 * 1024 * 1024
"""Uncompressed export bytes after which a sync loads what it has fetched."""
CHECKPOINT_SECONDS: Final = 120.0
"""Seconds of fetching after which a sync loads what it has fetched."""

BLOCK_BYTES: Final = 4 * 1024 * 1024
"""Uncompressed bytes decoded at once; bounds memory, whatever the size of a day."""
MAX_ROW_BYTES: Final = 64 * 1024 * 1024
"""Maximum bytes of one row. An event may have a megabyte; profiles may have more."""
MAX_BODY_BYTES: Final = 1024 * 1024 * 1024
"""Maximum uncompressed bytes of a reply that is read into memory: a page of profiles, a report."""
MAX_SCAN_BYTES: Final = 1024 * 1024 * 1024
"""Maximum bytes of a block for the compiled code, whose offsets have 32 bits."""
DISK_RESERVE_BYTES: Final = 256 * 1024 * 1024
"""Free space that a download leaves on the disk, so that an endless reply does not fill it."""
DISK_CHECK_BYTES: Final = 64 * 1024 * 1024
"""Bytes that a download writes between two looks at the free space."""
WORKERS_MAX: Final = 4
"""Maximum decoder threads with `workers = auto`; the thread that loads cannot keep up with more."""
SMALL_BLOCK_BYTES: Final = 1024 * 1024
"""Smaller blocks are decoded row by row: loading the compiled code takes half a second."""
KEPT_BYTES: Final = 160 * 1024 * 1024
"""Memory for the blocks of a window that were decoded while it was downloaded.

Of a window that needs more, half as much is kept and the rest is decoded again from disk.
"""
COMPARED_PROFILES_MIN: Final = 10_000
"""Minimum profiles of a dump that is compared with the table; fewer are always written."""
COMPARED_PROFILES_MAX: Final = 3_000_000
"""Maximum profiles of such a dump: it takes up to 100 bytes of memory for each."""
INDEX_ROWS: Final = 250_000
"""Rows of a window whose keys are held in memory, 30 bytes each; those of more go to a file."""
BLOCK_ROWS: Final = 10_000
"""Maximum rows held as Python objects, where rows are decoded one by one."""
BATCH_ROWS: Final = 50_000
"""Maximum rows of an Arrow table passed to dlt."""
FILE_ROWS: Final = 100_000
"""Rows per file of a load package. Postgres loads several files in parallel, DuckDB loads all in
one statement."""
LOAD_WORKERS: Final = 2
"""Files loaded in parallel, unless dlt is configured otherwise; each takes memory."""
DUCKDB_BYTES_MAX: Final = 250_000_000
"""Maximum of DuckDB's `memory_limit` during a load, unless another is configured.

More hardly makes it faster; without a limit it may take most of the machine's memory. A load that
needs more gets more.
"""

MAX_IDENTIFIER_BYTES: Final = 63
"""Maximum length of a name in PostgreSQL, the lowest among the widely used destinations.

Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html.
"""
