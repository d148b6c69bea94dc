"""Which days to fetch, and in which requests.

Pure: today is an argument. Days are dates in the project's own calendar (UTC for projects created
since 2023, the project's time zone for older ones), both ends of a window inclusive, as Mixpanel's
`from_date` and `to_date` are.

Source: https://developer.mixpanel.com/reference/raw-event-export.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)


class Window(NamedTuple):
    """The days of one export request, `first` to `last`, both inclusive."""

    first: date
    last: date

    @property
    def days(self) -> Iterator[date]:
        """Each day, oldest first."""
        return iter_days(self.first, self.last)

    def __str__(self) -> str:
        """One date, or `first..last`."""
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    def halves(self) -> tuple[Window, Window] | None:
        """The window cut in two, or None when it is a single day."""
        if self.first == self.last:
            return None
        middle = self.first + (self.last - self.first) // 2
        return Window(self.first, middle), Window(middle + DAY, self.last)


def iter_days(first: date, last: date) -> Iterator[date]:
    """Yields the days from `first` to `last`, both inclusive; none if `last` is earlier."""
    for number in range(first.toordinal(), last.toordinal() + 1):
        yield date.fromordinal(number)


def newest_day(now: datetime, *, zone: str, include_today: bool) -> date:
    """The newest day to ask for: yesterday, or today if it is wanted.

    Mixpanel answers 400 to a `to_date` after its own today, which may be reckoned in UTC or in the
    project's zone; the earlier of the two is always safe.

    Args:
        now: an aware instant.
        zone: IANA name of the project's zone.
        include_today: whether the day that is not over counts.
    """
    today = min(now.astimezone(timezone.utc).date(), now.astimezone(ZoneInfo(zone)).date())
    return today if include_today else today - DAY


def settled_on(day: date, *, lookback_days: int) -> date:
    """The first date on which a read of `day` is final: no late event is expected after it."""
    return day + DAY * (lookback_days + 1)


def days_to_sync(
    *,
    anchor: date,
    newest: date,
    synced_through: date | None,
    read_on: Mapping[date, date],
    lookback_days: int,
) -> list[date]:
    """The days a sync has to fetch, oldest first.

    Those are all days after the last synced one, and of the days up to it each that was not yet
    final when it was last read. A sync that was interrupted therefore goes on where it stopped, and
    does not read settled days again.

    Args:
        anchor: first day of the first sync.
        newest: last day to fetch, see `newest_day`.
        synced_through: newest day that a sync has loaded; None before the first.
        read_on: for days loaded lately, the date (UTC) of the request that was loaded.
        lookback_days: days after which a day is final, see `settled_on`.
    """
    if synced_through is None:
        return list(iter_days(anchor, newest))
    # no day before this one can have been read too early, for none is read before it has begun
    first_again = max(anchor, synced_through - DAY * lookback_days)
    again = (
        day
        for day in iter_days(first_again, min(synced_through, newest))
        if day not in read_on or read_on[day] < settled_on(day, lookback_days=lookback_days)
    )
    return [*again, *iter_days(max(anchor, synced_through + DAY), newest)]


def build_windows(days: Iterable[date], *, window_days: int) -> list[Window]:
    """Group ascending days into windows of at most `window_days` consecutive days."""
    windows: list[Window] = []
    for day in days:
        open_window = windows[-1] if windows else None
        if (
            open_window is not None
            and day == open_window.last + DAY
            and (day - open_window.first).days < window_days
        ):
            windows[-1] = open_window._replace(last=day)
        else:
            windows.append(Window(day, day))
    return windows
