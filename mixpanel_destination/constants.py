"""Limits of Mixpanel's ingestion API, and tuning parameters that are not settings."""

from __future__ import annotations

from typing import Final

BATCH_ROWS: Final = 2_000
"""Maximum rows per request, and rows per call of the destination.

Source: https://developer.mixpanel.com/reference/import-events.
"""
REQUEST_BYTES: Final = 9_800_000
"""Bytes per request, uncompressed; Mixpanel takes 10 MB. A 413 may name a lower limit."""
ROW_BYTES_MAX: Final = 1_048_576
"""Maximum bytes of an event or a profile update, as JSON."""
FILE_ROWS: Final = 20_000
"""Rows per file of a load package: files are what is sent in parallel."""
CLIENTS: Final = 10
"""Files that are sent at once. Mixpanel recommends 10 to 20 clients."""

PROPERTIES_MAX: Final = 255
"""Maximum properties of an event, keys of an object in it and items of a list in it."""
DEPTH_MAX: Final = 3
"""Maximum nesting of objects in a property."""
NAME_CHARACTERS_MAX: Final = 255
INSERT_ID_BYTES_MAX: Final = 36
FIRST_SECOND: Final = 31_536_000
"""1971-01-01: earlier times are refused."""
FUTURE_SECONDS: Final = 3_600
"""Events further in the future are refused."""
RETENTION_DAYS: Final = 1_825
"""Days that a project keeps events: five years, or two for projects made since September 2025.

Source: https://docs.mixpanel.com/docs/privacy/gdpr-compliance.
"""

FORBIDDEN_IDS: Final = frozenset(
    (
        "00000000-0000-0000-0000-000000000000",
        "anon",
        "anonymous",
        "nil",
        "none",
        "null",
        "n/a",
        "na",
        "undefined",
        "unknown",
        "<nil>",
        "0",
        "-1",
        "true",
        "false",
        "[]",
        "{}",
    )
)
"""Values that Mixpanel refuses as `distinct_id` and as `$insert_id`.

Source: https://developer.mixpanel.com/reference/import-events.
"""
IDENTITY_EVENTS: Final = frozenset(("$identify", "$create_alias", "$merge"))
"""Events that merge identities; projects with simplified identity management refuse them."""

EVENTS_PER_SECOND: Final = 15_000
BYTES_PER_MINUTE: Final = 1_000_000_000
"""Half of what a project accepts, because live traffic shares the limit."""
PATIENCE_SECONDS: Final = 15 * 60.0
"""Time without any success after which sending stops; the package stays."""
BACKOFF_SECONDS: Final = 2.0
BACKOFF_SECONDS_MAX: Final = 60.0
"""First and longest wait after 429 and 5xx; it doubles in between.

Source: https://developer.mixpanel.com/reference/import-events.
"""
JITTER_SECONDS: Final = 3.0
CONNECT_TIMEOUT_SECONDS: Final = 10.0
READ_TIMEOUT_SECONDS: Final = 120.0

CANARY_ROWS: Final = 100
"""Rows of the first request of a run."""
REFUSED_SHARE_MAX: Final = 0.01
"""Share of rows refused against expectation above which sending stops."""
