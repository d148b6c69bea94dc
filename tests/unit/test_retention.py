"""The first day that Mixpanel serves, where it refuses older ones."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.tables.events.retention import first_served_day, oldest_day

FIRST = date(2026, 1, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(365)]


@given(st.integers(1, 370), st.none() | st.integers(0, 370))
def test_any_first_day_is_found_in_few_requests(served_from: int, stated: int | None) -> None:
    """By halving, or at once if the refusal says which."""
    first = FIRST + timedelta(days=served_from)
    requested = []

    def is_served(day: date) -> bool:
        requested.append(day)
        return day >= first

    said = None if stated is None else FIRST + timedelta(days=stated)
    found = first_served_day(FIRST, DAYS, stated=said, is_served=is_served)
    if said is not None and said > FIRST:
        assert found == (said if said in DAYS else None)
        assert not requested
    else:
        assert found == (first if first in DAYS else None)
        assert len(requested) <= 10


def test_stated_days() -> None:
    """Counted from today; none if the refusal has no number."""
    assert oldest_day(date(2026, 11, 21), 7) == date(2026, 11, 14)
    assert oldest_day(date(2026, 11, 21), 0) is None
