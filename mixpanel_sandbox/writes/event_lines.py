"""How an accepted event is stored: its own bytes, with the properties that Mixpanel adds."""

from __future__ import annotations

import re
from typing import Any

from ..messages import json_bytes
from .bodies import Row

MAX_TEXT = 255
"""Longer texts and names are cut off."""
PLACE = {"$city": "Ashburn", "$region": "Virginia", "mp_country_code": "US"}
"""Where every IP address is."""

_IP = re.compile(r'"ip"\s*:\s*(?:0|"0")\s*(,?)')
_PROPERTIES = re.compile(r'"properties"\s*:\s*\{\s*')
# a text that may be too long; with escaped quotes in it, it is not found
_LONG = re.compile(f'"[^"]{{{MAX_TEXT + 1}}}')

Properties = dict[str, Any]


def build_line(row: Row, arrived_ms: int, endpoint: str) -> bytes:
    """Return the line the export serves for an event.

    The text is kept where possible, so that numbers and repeated keys stay as they were sent. It is
    serialised anew if a property has to be changed.

    Args:
        row: An event without problems.
        arrived_ms: When it was received.
        endpoint: `import` or `track`.
    """
    properties: Properties = row.value["properties"]
    added = _describe_arrival(properties, arrived_ms, endpoint)
    line = _insert_text(row, added)
    return _serialise(row.value, added) if line is None else line


def _describe_arrival(properties: Properties, arrived_ms: int, endpoint: str) -> Properties:
    added: Properties = {
        "$mp_api_endpoint": "api.mixpanel.com",
        "$mp_api_timestamp_ms": arrived_ms,
        "mp_processing_time_ms": arrived_ms,
    }
    if endpoint == "import":
        added["$import"] = True
    if properties.get("time") is None:
        added["time"] = arrived_ms // 1000
    if properties.get("distinct_id") is None:
        device_id = properties.get("$device_id")
        added["distinct_id"] = properties.get("$user_id") or (
            f"$device:{device_id}" if device_id else ""
        )
    # without `ip`, the address of the request is located
    if properties.get("ip") not in {0, "0"}:
        added |= {name: place for name, place in PLACE.items() if name not in properties}
    return added


def _insert_text(row: Row, added: Properties) -> bytes | None:
    """Return the edited text, or None if a property has to be changed."""
    properties = row.value["properties"]
    if "token" in properties or not added.keys().isdisjoint(properties) or _has_long_texts(row):
        return None
    text = _without_ip(row.text) if "ip" in properties else row.text
    if text is None or text.count('"properties"') != 1:
        return None
    head = _PROPERTIES.search(text, text.index('"properties"'))
    if head is None:
        return None
    comma = "" if text.startswith("}", head.end()) else ","
    fields = json_bytes(added).decode()[1:-1]
    return f"{text[: head.end()]}{fields}{comma}{text[head.end() :]}".replace("\n", " ").encode()


def _without_ip(text: str) -> str | None:
    """Return the text without its only `ip`, which is 0; None if it is not that simple."""
    start = text.find('"ip"')
    value = _IP.match(text, start)
    if value is None or text.count('"ip"') != 1:
        return None
    before = text[:start] if value[1] else text[:start].rstrip().removesuffix(",")
    return before + text[value.end() :]


def _has_long_texts(row: Row) -> bool:
    """Return whether a name or value of the properties has to be cut off."""
    if '\\"' not in row.text and not _LONG.search(row.text):
        return False
    return any(
        len(name) > MAX_TEXT or (isinstance(value, str) and len(value) > MAX_TEXT)
        for name, value in row.value["properties"].items()
    )


def _serialise(event: dict[str, Any], added: Properties) -> bytes:
    kept = {
        name[:MAX_TEXT]: value[:MAX_TEXT] if isinstance(value, str) else value
        for name, value in event["properties"].items()
        if name not in {"token", "ip"}
    }
    return json_bytes({**event, "properties": {**kept, **added}})
