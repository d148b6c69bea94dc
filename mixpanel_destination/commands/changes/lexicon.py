"""Uploads entries of the Lexicon.

Source: https://developer.mixpanel.com/reference/lexicon-schemas-api
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from mixpanel_source.errors import ConfigError

from ...api.client import Client
from ...endpoints import APP, endpoint
from .base import Outcome, Plan, Work, count, read_list, read_text, send_to, some, to_json

ENTITIES_MAX = 3999
"""Entries per request and per minute: Mixpanel takes fewer than 4000."""
REQUEST_SECONDS = 12.0
"""Between requests: an organisation has five a minute."""
MINUTE_SECONDS = 60.0
ENTITY_TYPES = ("event", "profile")
USERS = "$user"
"""The only name that an entry for profiles can have."""

Entry = dict[str, Any]


def push(source: str, *, truncate: bool) -> Work:
    """Create or replace the entries of a file.

    Args:
        source: file of JSON, `{"entries": [...]}` or the list alone, or of JSON lines.
        truncate: whether to delete the whole Lexicon first.

    Raises:
        ConfigError: the file has no valid entries.
    """
    entries = read_entries(source)
    dropped = [*_dropped(entries)]
    destroys = [
        *(["the whole Lexicon, before the entries are added"] if truncate else []),
        *([f"all future values of what is dropped at ingestion: {some(dropped)}"] * bool(dropped)),
    ]

    def plan(client: Client) -> Plan:
        lines = [f"Create or replace {count(len(entries), 'Lexicon entry')}"]
        if truncate:
            stored = read_list(client, f"{APP}/schemas", label="lexicon")
            number = len(stored.get("results", ())) if isinstance(stored, dict) else 0
            lines.append(f"Delete all {count(number, 'entry')} that it has now first")
        if dropped:
            lines.append(f"Mixpanel will no longer store: {some(dropped)}")
        return Plan(lines=lines, send=lambda: _send(client, entries, truncate=truncate))

    return Work(label="lexicon push", destroys="; ".join(destroys), plan=plan)


def read_entries(source: str) -> list[Entry]:
    """The entries of a file.

    Raises:
        ConfigError: it has none, or one that Mixpanel would refuse or that is there twice.
    """
    text = read_text(source)
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        content = _read_lines(source, text)
    if isinstance(content, dict):
        content = content.get("entries", [content])
    if not isinstance(content, list) or not content:
        raise ConfigError(f"{source} has no Lexicon entries.")
    for number, entry in enumerate(content, 1):
        _check(f"{source}, entry {number}", entry)
    names = Counter((entry["entityType"], entry["name"]) for entry in content)
    twice = [f"{kind} {name}" for (kind, name), times in names.items() if times > 1]
    if twice:
        raise ConfigError(f"{source} has entries twice: {some(twice)}.")
    return content


def _read_lines(source: str, text: str) -> list[Any]:
    try:
        return [orjson.loads(line) for line in text.split("\n") if line.strip()]
    except orjson.JSONDecodeError:
        raise ConfigError(f"{source} is neither JSON nor JSON lines.") from None


def _check(where: str, entry: object) -> None:
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: it must be an object.")
    kind, name, schema = entry.get("entityType"), entry.get("name"), entry.get("schemaJson")
    if kind not in ENTITY_TYPES:
        raise ConfigError(f"{where}: entityType must be one of {', '.join(ENTITY_TYPES)}.")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{where}: name is missing.")
    if kind == "profile" and name != USERS:
        raise ConfigError(f"{where}: the name of an entry for profiles must be {USERS}.")
    if not isinstance(schema, dict):
        raise ConfigError(f"{where}: schemaJson must be an object.")
    if unknown := entry.keys() - {"entityType", "name", "schemaJson"}:
        raise ConfigError(f"{where}: unknown field {some(sorted(unknown))}.")


def _dropped(entries: Sequence[Entry]) -> Iterator[str]:
    """What the entries say is to be dropped at ingestion: events, and properties of them."""
    for entry in entries:
        if _is_dropped(entry["schemaJson"]):
            yield entry["name"]
        properties = entry["schemaJson"].get("properties")
        for name, described in (properties if isinstance(properties, dict) else {}).items():
            if _is_dropped(described):
                yield f"{entry['name']}.{name}"


def _is_dropped(schema: object) -> bool:
    for key in ("metadata", "com.mixpanel", "dropped"):
        schema = schema.get(key) if isinstance(schema, dict) else None
    return bool(schema)


def _send(client: Client, entries: Sequence[Entry], *, truncate: bool) -> Outcome:
    totals: Counter[str] = Counter()
    known = endpoint("upload-schemas-for-project")
    for start in range(0, len(entries), ENTITIES_MAX):
        chunk = entries[start : start + ENTITIES_MAX]
        # the first request empties the Lexicon, the later ones must not
        body = {"entries": chunk, **({"truncate": True} if truncate and start == 0 else {})}
        reply = send_to(client, known, label="lexicon push", body=to_json(body)).json()
        results = reply.get("results") if isinstance(reply, dict) else None
        totals.update(results if isinstance(results, dict) else {"added": len(chunk)})
        if start + len(chunk) < len(entries):
            client.clock.sleep(pause_after(len(chunk)))
    text = f"{count(totals['added'], 'entry')} added or replaced"
    if totals["deleted"]:
        text += f", {totals['deleted']:,} deleted before"
    return Outcome(text=text, facts={"added": totals["added"], "deleted": totals["deleted"]})


def pause_after(entities: int) -> float:
    """Seconds to wait after a request, so that neither limit of a minute is exceeded."""
    return max(REQUEST_SECONDS, math.ceil(MINUTE_SECONDS * entities / ENTITIES_MAX))
