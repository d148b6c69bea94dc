"""When the next request may start.

Pure: the time is an argument, in seconds since the epoch, and nothing here waits. The limits hold
per host family (`query` and `export` count apart); the spacing of one request a second holds over
all of them.

Source: https://developer.mixpanel.com/reference/rate-limits.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

HOUR_S = 3600.0
LONGEST_BELIEVED_S = 30 * 24 * HOUR_S
"""A longer wait than this is not what a quota asks for, and is taken for no answer."""


class Pace:
    """Counts the requests made and answers when the next one may be."""

    def __init__(self, *, per_second: float, per_hour: int) -> None:
        """Start with nothing counted.

        Args:
            per_second: most requests a second, over all families.
            per_hour: most metered requests in a rolling hour, for each family; 0 for no bound.
        """
        self._spacing_s = 1.0 / per_second
        self._per_hour = per_hour
        self._latest = float("-inf")
        self._metered: dict[str, deque[float]] = {}
        self._closed_until: dict[str, float] = {}

    def next_at(self, family: str, now: float, *, metered: bool = True) -> float:
        """The earliest time, not before `now`, at which a request to `family` may start."""
        # a clock set back must not make us wait for the time it showed before
        self._latest = min(self._latest, now)
        earliest = max(now, self._latest + self._spacing_s)
        if not metered:
            return earliest
        earliest = max(earliest, self._closed_until.get(family, now))
        starts = self._starts(family, now)
        if self._per_hour and len(starts) >= self._per_hour:
            earliest = max(earliest, starts[-self._per_hour] + HOUR_S)
        return earliest

    def record(self, family: str, at: float, *, metered: bool = True) -> None:
        """Count a request that Mixpanel had received by `at`."""
        self._latest = at
        if metered:
            self._starts(family, at).append(at)

    def restore(self, family: str, starts: Iterable[float]) -> None:
        """Take `starts`, ascending, for the metered requests made to `family` so far."""
        self._metered[family] = deque(starts)

    def close(self, family: str, until: float) -> None:
        """Let no metered request to `family` start before `until`, as Mixpanel asked."""
        self._closed_until[family] = max(until, self._closed_until.get(family, until))

    def _starts(self, family: str, now: float) -> deque[float]:
        starts = self._metered.setdefault(family, deque())
        while starts and starts[0] <= now - HOUR_S:
            starts.popleft()
        if starts and starts[-1] > now:  # the clock was set back
            starts = self._metered[family] = deque(min(at, now) for at in starts)
        return starts


def finish_at(pace: Pace, requests: Iterable[tuple[str, int]], now: float) -> float:
    """When the last of `requests` may start if each does as soon as it may; uses `pace` up.

    Args:
        pace: what holds, and what was used so far.
        requests: family and number of metered requests, in the order they are made.
        now: seconds since the epoch.
    """
    for family, number in requests:
        for _ in range(number):
            now = pace.next_at(family, now)
            pace.record(family, now)
    return now


class Retries:
    """How long to wait after each failure of one request, and when to give up.

    A failure of ours or the network's is tried again `most` times, after `base_s` seconds, doubled
    each time. A refusal for the quota is waited out: as long as was asked, else as any failure and
    then until the hour has passed in which the quota was used up. To be asked to wait no time at
    all is not to be asked.
    """

    def __init__(self, most: int, *, base_s: float) -> None:
        """Start with no failure.

        Args:
            most: how often to try again.
            base_s: seconds before the first of these.
        """
        self._most = most
        self._base_s = base_s
        self._refused_since: float | None = None
        self.tries = 0
        """Failures so far."""

    def next_delay(self, now: float, *, asked_s: float | None, limited: bool) -> float | None:
        """Seconds to wait after one more failure; None to give up.

        Args:
            now: seconds since the epoch.
            asked_s: seconds that Mixpanel asked us to wait, if it did.
            limited: whether the failure was a refusal for the quota.
        """
        self.tries += 1
        if limited and self._refused_since is None:
            self._refused_since = now
        if asked_s and (limited or self.tries <= self._most):
            return asked_s
        if self.tries <= self._most:
            return self._base_s * float(2 ** (self.tries - 1))
        if not limited or self._refused_since is None:
            return None
        # one hour after the other, in case somebody else uses the quota too
        self._refused_since += HOUR_S
        return max(self._base_s, self._refused_since - now)


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a refusal asks us to wait, or None if it does not say.

    Reads `Retry-After` (seconds or a date) and, in its absence, the reset times of the exhausted
    policies in `RateLimit`, as in `"project";r=0;t=3600`.
    """
    for asked_s in (
        _retry_after(headers.get("Retry-After", "").strip(), now),
        _longest_reset(headers.get("RateLimit", "")),
    ):
        if asked_s is not None and asked_s <= LONGEST_BELIEVED_S:
            return asked_s
    return None


def _retry_after(text: str, now: float) -> float | None:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        return max(0.0, until.replace(tzinfo=until.tzinfo or timezone.utc).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _longest_reset(text: str) -> float | None:
    resets = [
        float(match["reset"])
        for policy in text.split(",")
        if (match := re.search(r";\s*r=0\s*;.*?\bt=(?P<reset>\d+)", policy))
    ]
    return max(resets, default=None)
