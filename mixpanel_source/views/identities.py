"""Views of identities: which device belongs to which user, and when.

Source: https://docs.mixpanel.com/docs/tracking-methods/id-management.
"""

from __future__ import annotations

from ..sql import quote_text
from .properties import ByName, as_text

DEVICE, USER, BEFORE = "$device_id", "$user_id", "$distinct_id_before_identity"
DEVICE_PREFIX = "$device:"
"""Precedes the id of a device where it is the `distinct_id` of an anonymous user."""


def build_device_users(schema: str, by_name: ByName) -> str:
    """Build the query that has a row for each device and user who signed in there.

    Args:
        schema: Schema of `export`, as SQL.
        by_name: The columns of each property.
    """
    return f"""\
-- One row per device and user who signed in there; `position` 1 is the user who was first, to whom
-- Mixpanel assigns what happened on the device before.
WITH seen AS (
    SELECT
        {as_text(by_name[DEVICE])} AS device_id,
        {as_text(by_name[USER])} AS user_id,
        time
    FROM {schema}.export
    WHERE time IS NOT NULL
)
SELECT
    device_id,
    user_id,
    min(time) AS first_seen_at,
    max(time) AS last_seen_at,
    count(*) AS events,
    row_number() OVER (PARTITION BY device_id ORDER BY min(time), user_id) AS position
FROM seen
WHERE device_id <> '' AND user_id <> ''
GROUP BY device_id, user_id
"""


def build_identities(schema: str, by_name: ByName) -> str:
    """Build the query that has a row for each id that events were sent with.

    Args:
        schema: Schema of `export`, as SQL.
        by_name: The columns of each property.
    """
    prefix = quote_text(DEVICE_PREFIX)
    return f"""\
-- One row per id that events were sent with and user whom Mixpanel assigns them to.
WITH ids AS (
    SELECT distinct_id AS id, distinct_id, time FROM {schema}.export
    UNION ALL
    SELECT {as_text(by_name[USER])}, distinct_id, time FROM {schema}.export
    UNION ALL
    SELECT {prefix} || {as_text(by_name[DEVICE])}, distinct_id, time FROM {schema}.export
    UNION ALL
    SELECT {as_text(by_name[BEFORE])}, distinct_id, time FROM {schema}.export
)
SELECT
    id,
    distinct_id,
    id = distinct_id AS is_distinct_id,
    min(time) AS first_seen_at,
    max(time) AS last_seen_at,
    count(*) AS events
FROM ids
WHERE id <> '' AND distinct_id <> ''
GROUP BY id, distinct_id
"""
