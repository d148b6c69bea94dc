"""What the state remembers of the days that were loaded."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from typing import Any

from mixpanel_source import constants
from mixpanel_source.tables.events.ledger import Ledger
from mixpanel_source.windows import DAY, Window, days_to_sync, iter_days

FIRST = date(2026, 3, 1)
NOON = datetime(2026, 3, 10, 12, tzinfo=timezone.utc).timestamp()
DAY_S = 86_400


def window(first: int, last: int) -> Window:
    """Days of March 2026."""
    return Window(date(2026, 3, first), date(2026, 3, last))


def reopened(state: dict[str, Any]) -> Ledger:
    """The ledger as a later run finds it, once its state has been through the destination."""
    return Ledger(json.loads(json.dumps(state)))


def test_nothing_loaded() -> None:
    """A new ledger knows no day."""
    ledger = Ledger({})

    assert ledger.synced_through is None
    assert ledger.read_on == {}
    assert ledger.read_at(window(1, 5)) == 0.0
    assert ledger.backfilled_through(window(1, 5)) is None


def test_sync_moves_the_cursor_forward_only() -> None:
    """Days that are read again leave the cursor where it is, and note when they were read."""
    state: dict[str, Any] = {}
    Ledger(state).record_sync(window(1, 3), read_at=NOON)
    Ledger(state).record_sync(window(2, 2), read_at=NOON + DAY_S)

    ledger = reopened(state)
    assert ledger.synced_through == date(2026, 3, 3)
    assert ledger.read_on == {
        date(2026, 3, 1): date(2026, 3, 10),
        date(2026, 3, 2): date(2026, 3, 11),
        date(2026, 3, 3): date(2026, 3, 10),
    }
    assert ledger.read_at(window(1, 3)) == NOON + DAY_S
    assert ledger.read_at(window(3, 9)) == NOON


def test_date_of_reading_is_utc() -> None:
    """A read belongs to the UTC date it began on, up to the last second."""
    state: dict[str, Any] = {}
    midnight = datetime(2026, 3, 11, tzinfo=timezone.utc).timestamp()
    Ledger(state).record_sync(window(1, 1), read_at=midnight - 1)
    Ledger(state).record_sync(window(2, 2), read_at=midnight)

    assert [*reopened(state).read_on.values()] == [date(2026, 3, 10), date(2026, 3, 11)]


def test_backfill_goes_on_where_it_was() -> None:
    """What a backfill has loaded is known by its two days, until it is done."""
    state: dict[str, Any] = {}
    wanted, other = window(1, 9), window(1, 8)
    Ledger(state).record_backfill(window(1, 4), wanted, read_at=NOON)

    ledger = reopened(state)
    assert ledger.backfilled_through(wanted) == date(2026, 3, 4)
    assert ledger.backfilled_through(other) is None

    ledger.record_backfill(window(5, 9), wanted, read_at=NOON)
    assert ledger.backfilled_through(wanted) is None


def test_backfill_leaves_the_cursor() -> None:
    """Days before and after the cursor are backfilled, and syncs go on where they were."""
    state: dict[str, Any] = {}
    Ledger(state).record_backfill(window(1, 9), window(1, 9), read_at=NOON)
    assert reopened(state).synced_through is None

    Ledger(state).record_sync(window(5, 5), read_at=NOON)
    Ledger(state).record_backfill(window(1, 9), window(1, 9), read_at=NOON + 1)
    assert reopened(state).synced_through == date(2026, 3, 5)
    assert reopened(state).read_at(window(5, 5)) == NOON + 1


def test_change_of_filters_is_told_once() -> None:
    """The first filters are no change, nor are the same again after a round trip."""
    state: dict[str, Any] = {}
    filters = {"events": ["A", "B"], "limit": 10}

    assert not Ledger(state).note_filters(filters)
    ledger = reopened(state)
    assert not ledger.note_filters(filters)
    assert ledger.note_filters({})
    assert not ledger.note_filters({})


def test_memory_is_bounded_and_long_enough() -> None:
    """The ledger knows when each day within the longest lookback was read, and no older one."""
    state: dict[str, Any] = {}
    days = constants.LOOKBACK_DAYS_MAX + 50
    for number in range(days):
        day = FIRST + DAY * number
        Ledger(state).record_sync(Window(day, day), read_at=NOON + number)

    newest = FIRST + DAY * (days - 1)
    remembered = reopened(state).read_on
    assert min(remembered) == newest - DAY * constants.LOOKBACK_DAYS_MAX
    assert len(remembered) == constants.LOOKBACK_DAYS_MAX + 1


def test_first_sync_in_pieces_reads_each_day_once() -> None:
    """Interrupted every ten days, with the longest lookback, it still reads no day twice."""
    state: dict[str, Any] = {}
    newest = FIRST + DAY * 999
    read_at = datetime(2035, 1, 1, tzinfo=timezone.utc).timestamp()
    read: list[date] = []
    for _ in range(100):
        ledger = reopened(state)
        days = days_to_sync(
            anchor=FIRST,
            newest=newest,
            synced_through=ledger.synced_through,
            read_on=ledger.read_on,
            lookback_days=constants.LOOKBACK_DAYS_MAX,
        )[:10]
        read += days
        Ledger(state).record_sync(Window(days[0], days[-1]), read_at=read_at)

    assert read == [FIRST + DAY * number for number in range(1_000)]


def test_nothing_is_forgotten_after_years_away() -> None:
    """Days that were not final when a sync last ran are read again two years later, in pieces."""
    state: dict[str, Any] = {}
    Ledger(state).record_sync(window(1, 10), read_at=NOON + DAY_S)
    now = NOON + 800 * DAY_S
    newest = date(2026, 3, 9) + DAY * 800
    read: list[date] = []
    for _ in range(82):
        ledger = reopened(state)
        days = days_to_sync(
            anchor=FIRST,
            newest=newest,
            synced_through=ledger.synced_through,
            read_on=ledger.read_on,
            lookback_days=5,
        )[:10]
        read += days
        for day in days:
            Ledger(state).record_sync(Window(day, day), read_at=now)

    # the 6th to the 10th were read on the 11th, and the newest five are not final today
    known = {day: read.count(day) for day in read}
    assert {day for day in known if day <= date(2026, 3, 10)} == {*window(6, 10).days}
    assert {*iter_days(date(2026, 3, 6), newest)} == {*known}
    assert {day for day in known if known[day] > 1} == {*iter_days(newest - DAY * 4, newest)}


def looked(state: dict[str, Any], **newest: float) -> list[str]:
    """Look through March at `NOON`; tells the days that are late then."""
    days = {date(2026, 3, int(day[1:])): at for day, at in newest.items()}
    Ledger(state).record_search(window(1, 31), at=NOON, newest=days)
    return [str(day) for day in reopened(state).late_days]


def test_late_is_what_came_after_the_reading() -> None:
    """A day is late if its newest event came after it was read, or in the hour before."""
    state: dict[str, Any] = {}
    Ledger(state).record_sync(window(1, 3), read_at=NOON - DAY_S)

    late = looked(state, d1=NOON - DAY_S + 1, d2=NOON - DAY_S - 3_500, d3=NOON - DAY_S - 3_601)
    assert late == ["2026-03-01", "2026-03-02"]
    Ledger(state).record_catch_up(window(1, 1), read_at=NOON)
    assert [str(day) for day in reopened(state).late_days] == ["2026-03-02"]
    assert reopened(state).synced_through == date(2026, 3, 3)


def test_late_days_that_were_read_since_are_late_no_more() -> None:
    """A sync or a backfill that reads a late day later than its event came makes up for it."""
    state: dict[str, Any] = {}
    Ledger(state).record_sync(window(1, 2), read_at=NOON - DAY_S)

    assert looked(state, d1=NOON - 7_200, d2=NOON - 7_200) == ["2026-03-01", "2026-03-02"]
    Ledger(state).record_backfill(window(1, 1), window(1, 1), read_at=NOON)
    assert looked(state) == ["2026-03-02"]
    assert list(state["late"]) == ["2026-03-02"]


def test_only_days_that_were_loaded_are_late() -> None:
    """Remembered days, and those synced so long ago that they are not; no others."""
    state: dict[str, Any] = {}
    Ledger(state).record_backfill(window(9, 9), window(9, 9), read_at=NOON - DAY_S)
    assert looked(state, d1=NOON, d9=NOON) == ["2026-03-09"]

    newest = date(2026, 3, 5) + DAY * constants.LOOKBACK_DAYS_MAX
    Ledger(state).record_sync(Window(newest, newest), read_at=NOON + DAY_S)
    assert [day.day for day in reopened(state).loaded_days(window(1, 12))] == [1, 2, 3, 4, 9]
    assert looked(state, d4=NOON, d5=NOON) == ["2026-03-04", "2026-03-09"]


def test_what_has_arrived_is_known_until_the_reading_or_the_look() -> None:
    """Of each day the later of the two counts, and of several days the earliest."""
    state: dict[str, Any] = {}
    assert Ledger(state).known_until([*window(1, 3).days]) == 0.0
    Ledger(state).record_sync(window(1, 2), read_at=NOON - 2 * DAY_S)
    Ledger(state).record_sync(window(3, 3), read_at=NOON + DAY_S)
    before = {day: reopened(state).known_until([date(2026, 3, day)]) + 3_600 for day in (1, 3, 4)}
    assert before == {1: NOON - 2 * DAY_S, 3: NOON + DAY_S, 4: NOON - 2 * DAY_S}

    looked(state)
    ledger = reopened(state)
    assert ledger.searched_at == NOON
    assert ledger.known_until([*window(1, 3).days]) == NOON - 3_600
    assert ledger.known_until([*window(3, 3).days]) == NOON + DAY_S - 3_600
