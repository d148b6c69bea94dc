"""Finds the first day that Mixpanel still serves, where it refuses older days.

Pure. A refusal mostly says how many days back may be read. Where it does not, or the number is not
right, the first day is found by halving, in as many requests as a binary search takes.

Source: https://docs.mixpanel.com/docs/privacy/gdpr-compliance (data retention).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from ...windows import DAY


def oldest_day(today: date, history_days: int) -> date | None:
    """The day that a refusal names; None if it names none.

    Args:
        today: date (UTC) of the refusal.
        history_days: days into the past that it allows; 0 if it does not say.
    """
    return today - DAY * history_days if history_days else None


def first_served_day(
    refused: date,
    days: Sequence[date],
    *,
    stated: date | None,
    is_served: Callable[[date], bool],
) -> date | None:
    """The first of some days that Mixpanel serves; None if it serves none of them.

    Args:
        refused: a day that it does not serve.
        days: the days that are to be loaded.
        stated: the first day that it serves by its own words; None if it did not say.
        is_served: requests one day.
    """
    later = sorted(day for day in days if day > refused)
    if stated is not None and stated > refused:
        return next((day for day in later if day >= stated), None)
    if not later or not is_served(later[-1]):
        return None
    low, high = 0, len(later) - 1
    while low < high:
        middle = (low + high) // 2
        if is_served(later[middle]):
            high = middle
        else:
            low = middle + 1
    return later[high]
