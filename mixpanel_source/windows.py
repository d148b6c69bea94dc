"""Which days to fetch, and in which requests.

Pure: today is an argument. Days are dates in the project's calendar (UTC for projects created since
2023, the project's time zone for older ones); both ends of a window are inclusive, as `from_date`
and `to_date` of the API are.

Source: https://developer.mixpanel.com/reference/raw-event-export.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from . import constants

DAY = timedelta(days=1)


class Window(NamedTuple):
    """The days of one export request, `first` to `last`, both inclusive."""

    first: date
    last: date

    @property
    def days(self) -> Iterator[date]:
        """Each day, oldest first."""
        return iter_days(self.first, self.last)

    @property
    def length_days(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1

    def __str__(self) -> str:
        """One date, or `first..last`."""
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    def halves(self) -> tuple[Window, Window] | None:
        """The window cut in two, or None when it is a single day."""
        if self.first == self.last:
            return None
        middle = self.first + (self.last - self.first) // 2
        return Window(self.first, middle), Window(middle + DAY, self.last)

    def overlaps(self, other: Window) -> bool:
        """Whether the windows share a day."""
        return self.first <= other.last and other.first <= self.last

    def without(self, other: Window) -> list[Window]:
        """What is left of the window without the days of another one, oldest first."""
        if not self.overlaps(other):
            return [self]
        rests = Window(self.first, other.first - DAY), Window(other.last + DAY, self.last)
        return [rest for rest in rests if rest.first <= rest.last]


def iter_days(first: date, last: date) -> Iterator[date]:
    """Yields the days from `first` to `last`, both inclusive; none if `last` is earlier."""
    for number in range(first.toordinal(), last.toordinal() + 1):
        yield date.fromordinal(number)


def newest_day(now: datetime, *, zone: str, include_today: bool) -> date:
    """The newest day to request: yesterday, or today if wanted.

    Mixpanel answers 400 to a `to_date` after its own today, which may be a day in UTC or in the
    project's zone; the earlier of the two is always safe.

    Args:
        now: an aware instant.
        zone: IANA name of the project's zone.
        include_today: whether to include today, still incomplete.
    """
    today = min(now.astimezone(timezone.utc).date(), now.astimezone(ZoneInfo(zone)).date())
    return today if include_today else today - DAY


def settled_on(day: date, *, lookback_days: int) -> date:
    """The first date on which a read of `day` is final: no later event is expected."""
    return day + DAY * (lookback_days + 1)


def days_to_sync(
    *,
    anchor: date,
    newest: date,
    synced_through: date | None,
    read_on: Mapping[date, date],
    lookback_days: int,
) -> list[date]:
    """The days a sync has to fetch: new days, oldest first, then days to read again.

    New days are those after the last synced one. Days up to it are read again if they were not yet
    final when they were last read, least recently read first. So with a short quota each sync still
    loads the new days, and every other day gets its turn. A sync that was interrupted continues
    where it stopped and does not read settled days again.

    Args:
        anchor: first day of the first sync.
        newest: last day to fetch, see `newest_day`.
        synced_through: newest day that a sync has loaded; None before the first.
        read_on: recently loaded day -> the date (UTC) of the request that was loaded; remembered
            for the last `LOOKBACK_DAYS_MAX` days before the last synced one.
        lookback_days: days after which a day is final, see `settled_on`.
    """
    if synced_through is None:
        return list(iter_days(anchor, newest))
    lookback = iter_days(synced_through - DAY * lookback_days, synced_through)
    again = [
        day
        for day in {*lookback, *read_on}
        if anchor <= day <= min(synced_through, newest)
        and (day not in read_on or read_on[day] < settled_on(day, lookback_days=lookback_days))
    ]
    again.sort(key=lambda day: (read_on.get(day, date.min), day))
    new = iter_days(max(anchor, synced_through + DAY), newest)
    # first, those that the ledger would forget if the new days were loaded and these were not
    remembered_from = newest - DAY * constants.LOOKBACK_DAYS_MAX
    expiring = [day for day in again if day not in read_on or day < remembered_from]
    return [*expiring, *new, *(day for day in again if day not in expiring)]


def days_to_search(
    *, anchor: date, yesterday: date, catch_up_days: int, lookback_days: int
) -> Window:
    """The days that a catch-up searches for late events; none if the first is after the last.

    Args:
        anchor: first day of the first sync.
        yesterday: see `newest_day`.
        catch_up_days: days before yesterday at which to begin.
        lookback_days: newest days that syncs read again, and that need no search.
    """
    first = max(anchor, yesterday - DAY * catch_up_days)
    return Window(first, yesterday - DAY * lookback_days)


class WindowSizer:
    """How many days the next request covers: a fixed number, or adapted to the size of replies.

    Adapting starts with one day and doubles while replies are small. From the bytes per day seen so
    far it estimates how many days make a reply of `AUTO_WINDOW_BYTES`, and takes no more. A
    failure, or a larger reply, halves the number at once; then it grows by one day at a time.
    """

    def __init__(self, window_days: int | None) -> None:
        """Start without having seen a reply.

        Args:
            window_days: days of each window; None to adapt.
        """
        self._fixed = window_days
        self._limit = 1
        self._doubles_up_to = constants.AUTO_WINDOW_DAYS_MAX
        self._bytes_a_day = 0.0

    @property
    def days(self) -> int:
        """Maximum days of the next window."""
        if self._fixed is not None:
            return self._fixed
        fitting = constants.AUTO_WINDOW_BYTES / max(self._bytes_a_day, 1.0)
        return max(1, min(self._limit, int(fitting)))

    def take(self, days: deque[date]) -> Window:
        """Take the next window off the left of `days`: consecutive ones, as many as fit.

        Args:
            days: ascending; at least one.
        """
        first = last = days.popleft()
        for _ in range(self.days - 1):
            if not days or days[0] != last + DAY:
                break
            last = days.popleft()
        return Window(first, last)

    def note(self, window: Window, size: int) -> None:
        """Learn from the reply for `window`, of `size` uncompressed bytes."""
        days = window.length_days
        now = size / days
        # up at once, down by halves: one quiet day among busy ones must not mislead it
        self._bytes_a_day = max(now, (self._bytes_a_day + now) / 2)
        if size > constants.AUTO_WINDOW_BYTES:
            self._narrow(days)
        elif days >= self._limit:
            wider = min(days * 2, max(self._doubles_up_to, days + 1))
            self._limit = min(wider, constants.AUTO_WINDOW_DAYS_MAX)

    def note_failure(self, window: Window) -> None:
        """Learn that `window` failed; its caller requests its days again."""
        self._narrow(window.length_days)

    def _narrow(self, days: int) -> None:
        self._limit = self._doubles_up_to = max(1, days // 2)


class WindowQueue:
    """The windows to be fetched, one after another."""

    def __init__(self, days: Iterable[date], sizer: WindowSizer) -> None:
        """Start with all of `days`, which `sizer` groups into windows."""
        self._days = deque(days)
        self._sizer = sizer
        self._windows: deque[Window] = deque()

    def __bool__(self) -> bool:
        """Whether there is another window."""
        return bool(self._windows or self._days)

    def next(self) -> Window:
        """Remove and return the next window; there must be one."""
        window = self.peek()
        self._windows.popleft()
        return window

    def peek(self) -> Window:
        """The window that `next` will return."""
        if not self._windows:
            self._windows.append(self._sizer.take(self._days))
        return self._windows[0]

    def upcoming(self, number: int) -> list[Window]:
        """The windows that `next` will return, at most `number` of them."""
        while self._days and len(self._windows) < number:
            self._windows.append(self._sizer.take(self._days))
        return [*islice(self._windows, number)]

    def discard(self, window: Window) -> None:
        """Remove the days of a window that is read in another way."""
        self._days = deque(day for day in self._days if not window.first <= day <= window.last)
        self._windows = deque(rest for queued in self._windows for rest in queued.without(window))

    def put_back(self, window: Window) -> None:
        """Put a window at the front."""
        self._windows.appendleft(window)

    def split(self, window: Window) -> bool:
        """Put the halves of a window that failed at the front; False for a single day."""
        halves = window.halves()
        if halves is None:
            return False
        self._sizer.note_failure(window)
        self._windows.extendleft(reversed(halves))
        return True
