"""The raw `time` of an event: which day it is, and which instant."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.decode.event_time import EPOCH_ORDINAL, event_day, parse_moment

DAY_S = 86_400
FIRST = date(2026, 11, 20).toordinal() - EPOCH_ORDINAL
NOON = FIRST * DAY_S + DAY_S // 2


@pytest.mark.parametrize(
    ("time", "day"),
    [
        (0, 0),
        (-1, -1),
        (DAY_S - 1, 0),
        (DAY_S, 1),
        (NOON, FIRST),
        (NOON + 0.75, FIRST),
        (NOON * 1_000 + 123, FIRST),
        (NOON * 1_000.0, FIRST),
        (29_999_999_999, 29_999_999_999 // DAY_S),
        (30_000_000_000, 30_000_000 // DAY_S),
        (-30_000_000_000, -30_000_000 // DAY_S),
        ("2026-11-20T23:59:59", FIRST),
        ("2026-11-20T23:59:59Z", FIRST),
        ("2026-11-20T23:59:59.999999+00:00", FIRST),
        ("2026-11-20 12:00:00", FIRST),
        ("2026-11-20T23:59:59-01:00", FIRST + 1),
        ("2026-11-21T00:30:00+01:00", FIRST),
        (" 2026-11-20 ", FIRST),
        ("2026-11-20T12:00:00Z/PT1H", None),
        ("0001-01-01T00:00:00+05:00", None),
        ("9999-12-31T23:59:59-05:00", None),
        ("2026-02-30", None),
        ("12:30", None),
        ("P1D", None),
        ("now", None),
        ("soon", None),
        ("", None),
        (None, None),
        (True, None),
        ([NOON], None),
    ],
)
def test_event_day(time: object, day: int | None) -> None:
    """Seconds, milliseconds and ISO 8601 text give the UTC day; anything else None."""
    assert event_day(time) == day


@given(text=st.text(max_size=12) | st.from_regex(r"[0-9TWPZ:/+. -]{1,30}", fullmatch=True))
def test_any_text_for_a_time(text: str) -> None:
    """Text that is not a time gives None, and never an error."""
    moment = parse_moment(text)
    assert moment is None or moment.tzinfo is None


@given(moment=st.datetimes())
def test_moments_come_back(moment: datetime) -> None:
    """ISO 8601 text of any instant is that instant."""
    assert parse_moment(moment.isoformat()) == moment
    assert parse_moment(f"{moment.isoformat()}Z") == moment
