"""What identifies an event, and what it says.

Both are the same for an event that is sent and one that is served.

Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import orjson

from mixpanel_source.decode.index.identity import VOLATILE, first_given
from mixpanel_source.decode.json_values import content_digest, repair_row

from .properties import ADDED, treatment
from .times import MS_PER_DAY, to_milliseconds, utc_date

NO_CONTENT = frozenset((*VOLATILE, *ADDED, "$insert_id"))
"""Properties that do not tell events apart, or that Mixpanel changes."""


def event_content(name: str, properties: dict[str, Any]) -> bytes:
    """Digest of an event without its ids and without what Mixpanel changes.

    The same for an event that is sent and for the same one in an export.

    Args:
        name: of the event.
        properties: parsed.
    """
    kept = {key: value for key, value in properties.items() if treatment(key) != "remove"}
    time_ms = to_milliseconds(kept.get("time"))
    if time_ms is not None:
        kept["time"] = time_ms
    sent_id = first_given(
        properties.get("$distinct_id_before_identity"), properties.get("distinct_id")
    )
    return treated_content(name, as_id(sent_id), kept)


def treated_content(name: str, sent_id: object, properties: dict[str, Any]) -> bytes:
    """The same for an event whose properties were treated already."""
    kept = properties.copy()
    for key in NO_CONTENT.intersection(properties):
        del kept[key]
    return content_digest([name, sent_id, kept])


def event_key(name: str, insert_id: object, sent_id: object, time_ms: int | None) -> bytes:
    """What identifies an event to Mixpanel: name, ids and day."""
    day = None if time_ms is None else time_ms // MS_PER_DAY
    return content_digest([name, insert_id, sent_id, day])


def as_id(value: object) -> object:
    """An id as text; Mixpanel makes text of numbers."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return str(value) if is_number else value


class Served(NamedTuple):
    """What is compared of an event of an export, as a staged event has it."""

    key: str
    content: str
    day: str
    event: str
    insert_id: str


def served_event(line: bytes) -> Served:
    """An event of an export.

    Args:
        line: its JSON. It is read as `EventPacker` reads, so that numbers compare equal.

    Raises:
        ValueError: it is not an event.
    """
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = repair_row(line, Counter())
    name, properties = row.get("event"), row.get("properties")
    if not isinstance(name, str) or not isinstance(properties, dict):
        raise ValueError("not an event")  # noqa: TRY004 - one kind of error for callers
    sent_id = first_given(
        properties.get("$distinct_id_before_identity"), properties.get("distinct_id")
    )
    time_ms = to_milliseconds(properties.get("time"))
    insert_id = properties.get("$insert_id")
    return Served(
        event_key(name, insert_id, as_id(sent_id), time_ms).hex(),
        event_content(name, properties).hex(),
        utc_date(time_ms),
        name,
        str(insert_id or ""),
    )
