"""The time of the server, from the `Date` of its replies."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from mixpanel_source.api.server_time import ServerTime

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("behind_s", "correction_s"),
    [(0, 0), (299, 0), (-299, 0), (3_600, 0), (-3_600, -3_600), (-432_000, -432_000)],
)
def test_only_a_clock_that_is_ahead_is_corrected(behind_s: float, correction_s: float) -> None:
    """A clock that is behind makes no day final too early."""
    time = ServerTime()
    headers = {"Date": formatdate(NOW + behind_s, usegmt=True)}
    time.note(headers, sent_at=NOW, received_at=NOW)
    assert time.correction_s == correction_s


def test_a_slow_reply_is_no_difference() -> None:
    """The date may be that of any moment between the request and its reply."""
    time = ServerTime()
    for at in (NOW, NOW + 900, NOW + 1_800):
        headers = {"Date": formatdate(at, usegmt=True)}
        time.note(headers, sent_at=NOW, received_at=NOW + 1_800)
        assert time.correction_s == 0


@pytest.mark.parametrize("text", ["", "yesterday", "Sat, 99 Nov 2026 12:00:00 GMT"])
def test_other_text_is_ignored(text: str) -> None:
    """A proxy may send anything."""
    time = ServerTime()
    time.note({"Date": text}, sent_at=NOW, received_at=NOW)
    time.note({}, sent_at=NOW, received_at=NOW)
    assert time.correction_s == 0
