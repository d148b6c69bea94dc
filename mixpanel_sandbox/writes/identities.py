"""Which ids belong to the same person, and the new ids of events that were stored before.

Source: https://docs.mixpanel.com/docs/tracking-methods/id-management
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..messages import json_bytes
from ..project import Project

BEFORE = "$distinct_id_before_identity"


class Identities:
    """The ids of a project, each with the one that stands for it."""

    def __init__(self, project: Project) -> None:
        """Start without merged ids."""
        self._project = project
        self._merged: dict[str, str] = {}

    def canonical(self, distinct_id: str) -> str:
        """Return the id that stands for an id."""
        while distinct_id in self._merged:
            distinct_id = self._merged[distinct_id]
        return distinct_id

    def learn(self, lines: Iterable[bytes]) -> None:
        """Merge the ids that events connect.

        The first connection counts: an id that is merged already keeps its canonical id.
        """
        for line in lines:
            event = json.loads(line)
            for merged, kept in self._connections(event["event"], event["properties"]):
                first, second = self.canonical(merged), self.canonical(kept)
                if merged not in self._merged and first != second:
                    self._merged[first] = second

    def rekey(self) -> None:
        """Give all events of the project their canonical ids."""
        for day, lines in self._project.events.items():
            self._project.events[day] = [self._rekey(line) for line in lines]

    def _connections(self, name: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield pairs of an id and the id it is merged into."""
        if self._project.identity == "simplified":
            device_id, user_id = properties.get("$device_id"), properties.get("$user_id")
            if device_id and user_id:
                yield f"$device:{device_id}", str(user_id)
        elif name == "$identify":
            yield str(properties.get("$anon_id")), str(properties.get("$identified_id"))
        elif name == "$create_alias":
            yield str(properties.get("alias")), str(properties.get("distinct_id"))
        elif name == "$merge":
            kept, merged = properties.get("$distinct_ids", ("", ""))
            yield str(merged), str(kept)

    def _rekey(self, line: bytes) -> bytes:
        event = json.loads(line)
        properties = event.get("properties", {})
        given = properties.get("distinct_id")
        new = self.canonical(str(given))
        if given is None or new == str(given):
            return line
        moved = {**properties, "distinct_id": new, BEFORE: properties.get(BEFORE, given)}
        return json_bytes({**event, "properties": moved})
