"""When the next request may start: one per second, and a number of metered ones per hour.

Pure: the time is an argument, in seconds since the epoch, and nothing here waits. The quota belongs
to the project, not to this process: `request_log` keeps the `Usage` that all processes share.

Source: https://developer.mixpanel.com/reference/rate-limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .. import constants
from ..config.model import Config
from .retry import HOUR_S
from .usage import Usage

_POLICY_MEMBER = re.compile(r'"[^"]*"\s*;\s*q=(\d{1,9})\s*;\s*w=3600\b')
"""Of the header `RateLimit-Policy`: a limit `q` in a window `w` of an hour."""


class Pace:
    """Tells when the next request may start, and counts the requests.

    The hourly limit holds for each quota (`query` and `export` count separately), the spacing over
    all of them.
    """

    def __init__(self, *, per_second: float, per_hour: int, usage: Usage | None = None) -> None:
        """Start from what was used so far.

        Args:
            per_second: maximum requests per second, over all quotas.
            per_hour: maximum metered requests in a rolling hour, for each quota; 0 for no limit. A
                limit that Mixpanel states takes the place of the default, and of a higher setting.
            usage: counted so far, and changed in place; none if not given.
        """
        self._spacing_s = 1.0 / per_second
        self._per_hour = per_hour
        self.usage = usage or Usage()

    def next_at(self, quota: str, now: float, *, metered: bool = True) -> float:
        """The earliest time, not before `now`, at which a request may start."""
        # a clock that was set back must not make us wait for the time it showed before
        self.usage.latest = min(self.usage.latest, now)
        earliest = max(now, self.usage.latest + self._spacing_s)
        if not metered:
            return earliest
        earliest = max(earliest, self.usage.closed_until.get(quota, now))
        starts, limit = self._starts(quota, now), self.limit(quota)
        if limit and len(starts) >= limit:
            earliest = max(earliest, starts[-limit] + HOUR_S)
        return earliest

    def limit(self, quota: str) -> int:
        """Maximum metered requests in an hour; 0 for no limit."""
        stated = self.usage.limits.get(quota)
        if not stated or not self._per_hour:
            return self._per_hour
        # a lower setting than the default leaves requests to other users of the project
        is_default = self._per_hour == constants.REQUESTS_PER_HOUR
        return stated if is_default else min(stated, self._per_hour)

    def left(self, quota: str, now: float) -> int:
        """The metered requests that may still start within the hour before `now`."""
        return max(0, self.limit(quota) - self.usage.count(quota, now))

    def record(self, quota: str, at: float, *, metered: bool = True) -> None:
        """Count a request that starts now, at `at`."""
        self.usage.latest = at
        if metered:
            self._starts(quota, at).append(at)

    def settle(self, quota: str, recorded_at: float, at: float, *, counts: bool) -> None:
        """Correct the count of a request, now that Mixpanel has answered or did not get it.

        Args:
            quota: of a metered request.
            recorded_at: when it was recorded.
            at: the latest time at which Mixpanel can have received it.
            counts: whether Mixpanel counts it.
        """
        starts = self._starts(quota, at)
        if recorded_at in starts:
            starts.remove(recorded_at)
        if counts:
            starts.append(at)

    def close(self, quota: str, until: float) -> None:
        """Let no metered request start before `until`, as Mixpanel asked."""
        closed = self.usage.closed_until
        closed[quota] = max(until, closed.get(quota, until))

    def finish_at(self, requests: Iterable[tuple[str, int]], now: float) -> float:
        """When the last of `requests` may start if each starts as early as possible.

        Uses this pace up: each of the requests is recorded.

        Args:
            requests: quota and number of metered requests, in the order they are made.
            now: seconds since the epoch.
        """
        for quota, number in requests:
            for _ in range(number):
                now = self.next_at(quota, now)
                self.record(quota, now)
        return now

    def _starts(self, quota: str, now: float) -> list[float]:
        """The starts that count at `now`; the list is the one in `usage`."""
        starts = self.usage.metered.setdefault(quota, [])
        # those in the future were recorded before the clock was set back
        starts[:] = [min(at, now) for at in starts if at > now - HOUR_S]
        return starts


def pace_of(config: Config, usage: Usage | None = None) -> Pace:
    """The pace that the settings allow."""
    return Pace(
        per_second=config.requests_per_second, per_hour=config.requests_per_hour, usage=usage
    )


def minimum_seconds(
    config: Config, usage: Usage, requests: Iterable[tuple[str, int]], now: float
) -> float:
    """Seconds until the last of `requests` may start, given what was used so far.

    Args:
        config: whose pace to keep.
        usage: counted so far; the requests are added to it.
        requests: quota and number of metered requests, in the order they are made.
        now: seconds since the epoch.
    """
    return pace_of(config, usage).finish_at(requests, now) - now


def parse_hourly_limit(headers: Mapping[str, str]) -> int | None:
    """The number of requests per hour that a reply states in `RateLimit-Policy`; None without one.

    Mixpanel raises the limit for some projects.
    """
    limits = [int(limit) for limit in _POLICY_MEMBER.findall(headers.get("RateLimit-Policy", ""))]
    return min(filter(None, limits), default=None)
