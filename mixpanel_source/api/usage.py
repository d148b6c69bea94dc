"""The requests made for a project, as far as they matter for the next one."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from ..catalog.endpoints import QUOTAS
from .retry import HOUR_S


@dataclass
class Usage:
    """Requests made and limits met; all times are in seconds since the epoch."""

    latest: float = 0.0
    """When the latest request started, metered or not."""
    metered: dict[str, list[float]] = field(default_factory=dict)
    """Quota -> when the metered requests of the last hour started, ascending."""
    closed_until: dict[str, float] = field(default_factory=dict)
    """Quota -> when Mixpanel accepts metered requests again."""
    limits: dict[str, int] = field(default_factory=dict)
    """Quota -> maximum requests per hour, where Mixpanel has stated it."""

    def used(self, now: float) -> dict[str, int]:
        """Quota -> the number of metered requests within the hour before `now`."""
        return {quota: self.count(quota, now) for quota in QUOTAS}

    def count(self, quota: str, now: float) -> int:
        """The number of metered requests within the hour before `now`."""
        return sum(now - HOUR_S < at <= now for at in self.metered.get(quota, ()))

    def to_json(self) -> bytes:
        """The text that `usage_from_json` reads."""
        return msgspec.json.encode(self)


def usage_from_json(text: bytes | str) -> Usage:
    """The usage in a log; nothing used if the log is damaged: Mixpanel itself counts too."""
    try:
        return msgspec.json.decode(text, type=Usage)
    except ValueError:
        return Usage()
