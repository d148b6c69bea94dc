"""When written events become visible, and when their duplicates disappear.

Source: https://docs.mixpanel.com/docs/tracking-methods/sdks/event-deduplication
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from ..project import Project
from .event_rules import to_seconds
from .identities import BEFORE, Identities


class Arrival(NamedTuple):
    """A written event."""

    day: date
    """UTC date of its time."""
    line: bytes
    """As the export serves it."""


class Inbox:
    """Written events on their way into the projects; all writes hold its lock."""

    def __init__(
        self, *, visible_after_s: float, dedup_after_s: float, keeps_events: bool, rekeys: bool
    ) -> None:
        """Start empty.

        Args:
            visible_after_s: Seconds until an event is served.
            dedup_after_s: Seconds, after the last write to a day, until its duplicates disappear.
            keeps_events: Whether events are stored at all.
            rekeys: Whether events get the canonical ids of their persons.
        """
        self.lock = threading.RLock()
        self._visible_after_s = visible_after_s
        self._dedup_after_s = dedup_after_s
        self._keeps_events = keeps_events
        self._waiting: dict[int, deque[tuple[float, Sequence[Arrival]]]] = {}
        self._changed: dict[int, dict[date, float]] = {}
        self._rekeys = rekeys
        self._identities: dict[int, Identities] = {}

    def add(self, project: Project, events: Sequence[Arrival], now_s: float) -> None:
        """Accept events of a project."""
        if not self._keeps_events or not events:
            return
        with self.lock:
            self._waiting.setdefault(project.project_id, deque()).append((now_s, events))

    def settle(self, project: Project, now_s: float) -> None:
        """Make everything visible that is due, and drop the duplicates that are due."""
        with self.lock:
            waiting = self._waiting.get(project.project_id, deque())
            changed = self._changed.setdefault(project.project_id, {})
            while waiting and waiting[0][0] + self._visible_after_s <= now_s:
                arrived_s, events = waiting.popleft()
                for event in events:
                    project.events.setdefault(event.day, []).append(event.line)
                    changed[event.day] = arrived_s
                self._rekey(project, events)
            due = [day for day, at_s in changed.items() if at_s + self._dedup_after_s <= now_s]
            for day in due:
                project.events[day] = drop_duplicates(project.events[day])
                del changed[day]

    def _rekey(self, project: Project, events: Sequence[Arrival]) -> None:
        if not self._rekeys:
            return
        identities = self._identities.setdefault(project.project_id, Identities(project))
        identities.learn(event.line for event in events)
        # also for the new events of ids that were merged before
        identities.rekey()


def drop_duplicates(lines: Iterable[bytes]) -> list[bytes]:
    """Return the lines without duplicates; of several, the one written last is kept.

    Duplicates have the same event name, distinct id, time and `$insert_id`.
    """
    kept: dict[object, bytes] = {}
    for number, line in enumerate(lines):
        kept[_dedup_key(line) or number] = line
    return list(kept.values())


def _dedup_key(line: bytes) -> tuple[str, ...] | None:
    """Return what identifies an event; None if it has no `$insert_id` or is no event."""
    try:
        event = json.loads(line)
        properties = event["properties"]
        insert_id, time = properties.get("$insert_id"), properties.get("time")
        if insert_id is None:
            return None
        time = to_seconds(time) if isinstance(time, (int, float)) else time
        distinct_id = properties.get(BEFORE, properties.get("distinct_id", ""))
        return str(event.get("event")), str(distinct_id), str(float(time)), str(insert_id)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
