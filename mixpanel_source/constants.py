"""What Mixpanel fixes and what we choose: hosts, paths, limits and defaults.

Constants only. What a user sets, and the checks on it, are in `config`.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Hosts(NamedTuple):
    """The hosts of a region that this package reads from, as base addresses.

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

EXPORT_LIMIT_MAX: Final = 100_000
"""Most events a request with `limit` returns.

Source: https://developer.mixpanel.com/reference/raw-event-export.
"""

ENGAGE_PAGE_SIZE: Final = 1_000
"""Profiles a page, where the reply does not say.

Source: https://developer.mixpanel.com/reference/engage-query.
"""

REQUESTS_PER_SECOND: Final = 1.0
REQUESTS_PER_HOUR: Final = 60
"""Raw export and the Query API each allow 60 requests in a rolling hour.

Source: https://developer.mixpanel.com/reference/rate-limits.
"""

RETRIES: Final = 5
RETRY_BASE_SECONDS: Final = 10.0
CONNECT_TIMEOUT_SECONDS: Final = 10.0
READ_TIMEOUT_SECONDS: Final = 300.0
"""Between two reads; an export may take minutes to send its first byte."""

QUOTA_PATIENCE_SECONDS: Final = 6 * 3_600.0
"""How long a request that is refused for the quota is waited for, if nothing shorter was asked."""
SHORT_WAIT_SECONDS: Final = 60.0
"""A wait longer than this is announced, and what was fetched is loaded before it."""

LOOKBACK_DAYS: Final = 5
"""The SDKs' endpoint drops events more than five days old.

Source: https://developer.mixpanel.com/reference/track-event.
"""
LOOKBACK_DAYS_MAX: Final = 366
"""As far back as the ledger remembers when a day was read."""
CATCH_UP_DAYS: Final = 365
"""How many days back events are looked for that arrived later than the look-back reaches."""
WINDOW_DAYS: Final = 1
AUTO_WINDOW_DAYS_MAX: Final = 31
"""Most days a request with `window_days = auto`: a year is a dozen of these."""
AUTO_WINDOW_BYTES: Final = 32 * 1024 * 1024
"""Uncompressed bytes that a request is to bring with `window_days = auto`.

Big enough that what passes between requests costs little beside it; small enough to be asked for
again when it fails, and to end a load package near where it should end.
"""
MAX_COLUMNS: Final = 1_000
PROPERTIES_MODES: Final = ("columns", "json", "both")

PIPELINE_NAME: Final = "mixpanel"
DATASET_NAME: Final = "mixpanel"
DUCKDB_FILE: Final = "mixpanel.duckdb"

CHECKPOINT_BYTES: Final = 2 * 1024 * 1024 * 1024
"""Uncompressed export bytes after which a sync loads what it has."""
CHECKPOINT_SECONDS: Final = 120.0
"""Seconds of fetching after which a sync loads what it has."""

BLOCK_BYTES: Final = 12 * 1024 * 1024
"""Uncompressed bytes decoded at once; bounds memory, whatever the size of a day."""
WORKERS_MAX: Final = 4
"""Most threads that decode, unless more are asked for; one that loads has to keep up with them."""
SMALL_BLOCK_BYTES: Final = 1024 * 1024
"""Blocks of fewer bytes are read row by row: compiled code takes half a second to load."""
KEPT_BYTES: Final = 160 * 1024 * 1024
"""Memory for what was decoded of a window while it came. Of a window that takes more, half as much
is kept and the rest read again."""
BLOCK_ROWS: Final = 10_000
"""Most rows that are Python objects at once, where rows are read one by one."""
BATCH_ROWS: Final = 50_000
"""Most rows of an arrow table handed to dlt."""
FILE_ROWS: Final = 100_000
"""Most rows of a file of a load package. Postgres takes several at once, DuckDB all together."""
LOAD_WORKERS: Final = 2
"""Files that are loaded at once, unless more are asked for; each takes memory."""
DUCKDB_MEMORY: Final = "400MB"
"""DuckDB's `memory_limit` while it loads, unless another is configured; with more it is hardly
faster, and without any it may take all of the machine's."""

MAX_IDENTIFIER_BYTES: Final = 63
"""PostgreSQL's bound, the smallest of the destinations in wide use.

Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html.
"""
