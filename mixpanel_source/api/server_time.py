"""Mixpanel's time, as its replies state it.

A clock that is ahead makes days count as final too early: events that arrive later would never be
loaded. So a clock that is ahead is corrected by the `Date` of the replies. A clock that is behind
only has days read more often, and is only reported.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

logger = logging.getLogger("mixpanel_source")

TOLERANCE_S = 300.0
"""Differences up to this are usual, and without effect."""
HOUR_S = 3_600.0


class ServerTime:
    """Compares the clock of this machine with that of the server."""

    def __init__(self) -> None:
        """Start without having seen a reply."""
        self.correction_s = 0.0
        """Seconds to add to the clock; negative for a clock that is ahead, else 0."""
        self._is_reported = False

    def note(self, headers: Mapping[str, str], *, sent_at: float, received_at: float) -> None:
        """Note the `Date` of a reply.

        Args:
            headers: of the reply.
            sent_at: when the request was sent, by the clock, in seconds since the epoch.
            received_at: when the reply began.
        """
        date = parse_date(headers.get("Date", ""))
        if date is None:
            return
        behind_s = date - min(max(date, sent_at), received_at)
        if abs(behind_s) <= TOLERANCE_S:
            behind_s = 0.0
        self.correction_s = min(0.0, behind_s)
        if behind_s and not self._is_reported:
            self._is_reported = True
            logger.warning(
                "The clock of this machine is %.1f hours %s Mixpanel's. Set the clock%s.",
                abs(behind_s) / HOUR_S,
                "behind" if behind_s > 0 else "ahead of",
                "" if behind_s > 0 else "; until then Mixpanel's time is used",
            )


def parse_date(text: str) -> float | None:
    """Seconds since the epoch of an HTTP date; None for other text."""
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp()
    except (ValueError, OverflowError):
        return None
