"""Identity events of projects with the original identity management, for projects with another.

Pure. Projects with simplified identity management refuse `$identify`, `$create_alias` and `$merge`.
There an event with both `$device_id` and `$user_id` connects the two, whatever its time.

Source: https://docs.mixpanel.com/docs/tracking-methods/id-management
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from .. import constants

LINK_EVENT = "Identity linked"
"""Name of the events that take the place of identity events."""


def is_identity(line: bytes) -> bool:
    """Whether a line of an export is an identity event."""
    # most lines have none of these names, and are not parsed
    if not any(name.encode() in line for name in constants.IDENTITY_EVENTS):
        return False
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(event, dict) and event.get("event") in constants.IDENTITY_EVENTS


@dataclass
class Linker:
    """Makes events that link ids of identity events."""

    user_ids: re.Pattern[str]
    """Matches ids of users, and none of devices."""
    ambiguous: int = 0
    """Identity events of which not exactly one id is that of a user."""

    def link(self, line: bytes) -> bytes | None:
        """The event that links the ids of an identity event; None if they are ambiguous."""
        event = orjson.loads(line)
        properties: dict[str, Any] = event["properties"]
        ids = _ids(event["event"], properties)
        users = [value for value in ids if self.user_ids.fullmatch(value)]
        devices = [value for value in ids if value not in users]
        if len(users) != 1 or len(devices) != 1:
            self.ambiguous += 1
            return None
        linked = {
            "time": properties.get("time"),
            "distinct_id": users[0],
            "$user_id": users[0],
            "$device_id": devices[0].removeprefix("$device:"),
        }
        return orjson.dumps({"event": LINK_EVENT, "properties": linked})


def _ids(name: str, properties: dict[str, Any]) -> list[str]:
    """The two ids that an identity event connects, as far as it has them."""
    if name == "$identify":
        found = [properties.get("$identified_id"), properties.get("$anon_id")]
    elif name == "$create_alias":
        sent_id = properties.get("$distinct_id_before_identity") or properties.get("distinct_id")
        found = [sent_id, properties.get("alias")]
    else:
        found = properties.get("$distinct_ids") or []
    return [str(value) for value in found if value]
