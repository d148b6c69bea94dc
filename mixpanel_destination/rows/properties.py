"""What is done to properties before they are sent.

Pure. Mixpanel sets some properties itself, and serves them with every export. Sent again, they
would be stale or refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from .. import constants

Treatment = Literal["keep", "remove", "long"]

REMOVED = frozenset(
    (
        "mp_processing_time_ms",
        "$mp_event_size",
        "$import",
        "$is_reshuffled",
        "$preshuffle_distinct_id",
        "$distinct_id_before_identity",
        "mp_original_event_name",
        "mp_original_distinct_id",
        "mp_sent_by_lib_version",
        "token",
    )
)
"""Properties that Mixpanel sets, or whose value moves to another; see also `REMOVED_PATTERN`."""
REMOVED_PATTERN = re.compile(r"\$mp_api_.*|\$.*failure.*")
ADDED = frozenset(("ip", "$city", "$region", "mp_country_code"))
"""Properties that Mixpanel adds or removes on arrival, where `ip` is sent."""
ARRIVAL = "source_processed_ms"
"""Property that keeps `mp_processing_time_ms` of the project that the event comes from."""

PROFILE_REMOVED = frozenset(("$last_seen", "$mp_first_event_time"))
"""Properties of profiles that Mixpanel maintains."""


@lru_cache(maxsize=50_000)
def treatment(name: str) -> Treatment:
    """What is done to a property of an event.

    Returns:
        keep; remove, see `REMOVED`; or long, for a name that Mixpanel cuts off.
    """
    if name in REMOVED or REMOVED_PATTERN.fullmatch(name):
        return "remove"
    return "long" if len(name) > constants.NAME_CHARACTERS_MAX else "keep"
