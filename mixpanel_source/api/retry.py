"""How long to wait after a failed request, and when to give up.

Pure: the time is an argument, in seconds since the epoch, and nothing here waits.

Source: https://developer.mixpanel.com/reference/rate-limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

from ..errors import UnavailableError

HOUR_S = 3600.0
MAX_RETRY_AFTER_S = 30 * 24 * HOUR_S
"""A server that asks for a longer wait than this is taken not to have asked."""


class RetryBudget:
    """The retries for one unit of work: a window with its halves, a dump of profiles, a report.

    Whatever goes wrong with the unit draws on the same budget: a failed request, starting over with
    the first page, a window cut in half. So a unit never costs more than a known number of
    requests, however many layers handle its failures.

    A failure of Mixpanel or of the network is retried after `base_s` seconds, doubled each time. A
    refusal for the quota (429) is waited out instead: for as long as Mixpanel asks, else like any
    failure and then until the hour has passed in which the quota was exhausted. Being asked to wait
    zero seconds counts as not being asked.
    """

    def __init__(self, retries: int, *, base_s: float) -> None:
        """Start with no failure.

        Args:
            retries: maximum retries in a row.
            base_s: seconds before the first retry.
        """
        self._retries = retries
        self._base_s = base_s
        self._refused_since: float | None = None
        self._failures = 0
        self._restarts = 0
        self._rarely_passing = 0

    def allows(self, error: UnavailableError) -> bool:
        """Whether one more retry is allowed after an error that limits them itself."""
        if error.retries is None:
            return True
        self._rarely_passing += 1
        return self._rarely_passing <= error.retries

    def next_delay(self, now: float, *, retry_after_s: float | None, limited: bool) -> float | None:
        """Seconds to wait after one more failure; None to give up.

        Args:
            now: seconds since the epoch.
            retry_after_s: seconds that Mixpanel asked to wait; None if it did not.
            limited: whether the failure was a refusal for the quota.
        """
        self._failures += 1
        if limited and self._refused_since is None:
            self._refused_since = now
        within = self._failures + self._restarts <= self._retries
        if retry_after_s and (limited or within):
            return retry_after_s
        if within:
            return self._base_s * float(2 ** (self._failures - 1))
        if not limited or self._refused_since is None:
            return None
        # one hour after another, in case other clients use the quota too
        self._refused_since += HOUR_S
        return max(self._base_s, self._refused_since - now)

    def note_success(self) -> None:
        """Note that a request succeeded: failures count from the start again, restarts do not."""
        self._failures = 0
        self._refused_since = None

    def note_halving(self) -> None:
        """Note that the unit goes on in two halves: the failure that led to it does not count."""
        self._failures -= 1

    def may_restart(self, error: UnavailableError | None = None) -> bool:
        """Draw one start from the beginning, after `error`; False if that is not allowed."""
        self._restarts += 1
        if error is not None and not self.allows(error):
            return False
        return self._failures + self._restarts <= self._retries


def parse_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a refusal asks to wait; None if it does not say.

    Reads `Retry-After` (seconds or a date) and, in its absence, the reset times of the exhausted
    policies in `RateLimit`, such as `"project";r=0;t=3600`.
    """
    for wait_s in (
        _parse_seconds_or_date(headers.get("Retry-After", "").strip(), now),
        _longest_reset_s(headers.get("RateLimit", "")),
    ):
        if wait_s is not None and wait_s <= MAX_RETRY_AFTER_S:
            return wait_s
    return None


def _parse_seconds_or_date(text: str, now: float) -> float | None:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        return max(0.0, until.replace(tzinfo=until.tzinfo or timezone.utc).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _longest_reset_s(text: str) -> float | None:
    resets = [
        float(match["reset"])
        for policy in text.split(",")
        if (match := re.search(r";\s*r=0\s*;.*?\bt=(?P<reset>\d+)", policy))
    ]
    return max(resets, default=None)
