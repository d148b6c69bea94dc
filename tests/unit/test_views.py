"""The queries of the views, each on a few events that show where it draws the line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timezone
from typing import Any

import duckdb
import pytest

from mixpanel_source.catalog.endpoints import ENDPOINTS
from mixpanel_source.catalog.tables import TABLE_NAMES
from mixpanel_source.errors import ConfigError
from mixpanel_source.views import Property, build_views

Row = tuple[Any, ...]


class Database:
    """An `export` table in memory, and the views over it."""

    def __init__(self) -> None:
        """Open an empty database."""
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute(
            "CREATE TABLE export (event text, time timestamptz, event_date date, "
            "distinct_id text, insert_id text, event_key text, plan text, price double)"
        )
        self.connection.execute(
            "CREATE TABLE _mixpanel_loads "
            "(table_name text, first_day date, last_day date, fetched_at timestamptz)"
        )

    def add(self, *events: str) -> None:
        """Add events written as `user event time`, the date left out if it is 2 November 2026."""
        for text in events:
            user, event, clock = text.split(" ", 2)
            moment = datetime.fromisoformat(f"2026-11-02 {clock}" if len(clock) < 9 else clock)
            moment = moment.replace(tzinfo=timezone.utc)
            self.connection.execute(
                "INSERT INTO export SELECT ?, ?, ?, ?, NULL, 'key' || count(*), NULL, NULL "
                "FROM export",
                [event, moment, moment.date(), user.strip("-")],
            )

    def read(
        self, view: str, columns: str, properties: Iterable[Property] = (), **given: Any
    ) -> Any:
        """The rows of a view, in the order of its columns."""
        query = build_views("main", properties, **given)[view]
        return self.connection.execute(
            f"SELECT {columns} FROM ({query}) ORDER BY {columns}"
        ).fetchall()


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty `export`."""
    opened = Database()
    yield opened
    opened.connection.close()


def test_a_session_ends_after_half_an_hour(database: Database) -> None:
    """A pause of 30 minutes is part of a session, one of 30 minutes and a second begins another."""
    database.add("ada a 10:00:00", "ada b 10:30:00", "ada c 11:00:01", "bob a 10:10:00")
    columns = "distinct_id, session_number, duration_s, events, first_event, last_event, session_id"
    assert database.read("sessions", columns) == [
        ("ada", 1, 1800.0, 2, "a", "b", "key0"),
        ("ada", 2, 0.0, 1, "c", "c", "key2"),
        ("bob", 1, 0.0, 1, "a", "a", "key3"),
    ]


def test_events_of_nobody_are_counted_but_are_no_user(database: Database) -> None:
    """An event without a user counts as an event; it has no session and is no active user."""
    database.add("ada a 10:00:00", "- a 11:00:00")
    assert database.read("events_by_day", "*") == [(date(2026, 11, 2), "a", 2, 1)]
    assert database.read("events_by_month", "*") == [(date(2026, 11, 1), "a", 2, 1)]
    database.add("- a 2026-11-03 10:00:00")
    assert database.read("active_users", "*") == [
        (date(2026, 11, 2), 1, 1, 1),
        (date(2026, 11, 3), 0, 1, 1),
    ]
    assert len(database.read("sessions", "distinct_id")) == 1


def test_active_users_look_back(database: Database) -> None:
    """A week is seven days with the day itself, a month thirty."""
    for day in ("2026-10-04", "2026-10-05", "2026-10-27", "2026-10-28", "2026-11-03"):
        database.add(f"{day} a {day} 10:00:00")
    assert database.read("active_users", "*")[-1] == (date(2026, 11, 3), 1, 2, 4)


def test_retention_counts_weeks_from_monday(database: Database) -> None:
    """Weeks begin on Monday; of a user's first week on, each week the user came back counts."""
    database.add(
        "ada a 2026-11-01 10:00:00",
        "ada a 2026-11-02 10:00:00",
        "ada b 2026-11-03 10:00:00",
        "bob a 2026-10-26 10:00:00",
        "bob a 2026-11-09 10:00:00",
    )
    first = date(2026, 10, 26)
    assert database.read("retention_by_week", "*") == [
        (first, 0, 2, 1.0),
        (first, 1, 1, 0.5),
        (first, 2, 1, 0.5),
    ]
    grid = database.read("retention_by_day", "first_day, days_later, users")
    assert [users for first_day, _, users in grid if first_day == first] == [1, 0, 0, 0, 1]
    assert [later for _, later, _ in grid] == [0, 6, 7, 8, 14, 0, 1, 2, 8]


def funnel(database: Database, *steps: str, **given: Any) -> list[int]:
    """Users at each step."""
    rows: list[Row] = database.read("funnel", "step, users", funnel=steps, **given)
    return [users for _, users in rows]


def test_funnel_takes_steps_in_order(database: Database) -> None:
    """Other events may lie between the steps; a step out of order does not count."""
    database.add("ada a 10:00:00", "ada x 10:01:00", "ada b 10:02:00", "ada c 10:03:00")
    database.add("bob b 10:00:00", "bob a 10:01:00", "bob c 10:02:00")
    assert funnel(database, "a", "b", "c") == [2, 1, 1]
    assert database.read("funnel", "*", funnel=("a", "b", "c")) == [
        (1, "a", 2, None, 1.0),
        (2, "b", 1, 0.5, 0.5),
        (3, "c", 1, 1.0, 0.5),
    ]


def test_funnel_counts_every_try(database: Database) -> None:
    """Who was too slow at first and came back later has done it; who never was in time has not."""
    database.add("ada a 2026-11-01 10:00:00", "ada a 2026-11-04 10:00:00")
    database.add("ada b 2026-11-05 09:00:00", "ada c 2026-11-05 10:00:00")
    database.add("bob a 2026-11-01 10:00:00", "bob b 2026-11-01 11:00:00")
    database.add("bob c 2026-11-02 10:00:01")
    assert funnel(database, "a", "b", "c", funnel_days=1) == [2, 2, 1]
    assert funnel(database, "a", "b", "c") == [2, 2, 2]


def test_funnel_takes_a_second_as_one_moment(database: Database) -> None:
    """Events of the same second are in no order, so they count as in the order asked for."""
    database.add("ada b 10:00:00", "ada a 10:00:00")
    assert funnel(database, "a", "b") == [1, 1]


def test_funnel_without_users(database: Database) -> None:
    """A step that nobody did is there with no users, and a share of none is none."""
    assert database.read("funnel", "*", funnel=("it's", "b")) == [
        (1, "it's", 0, None, None),
        (2, "b", 0, None, None),
    ]


@pytest.mark.parametrize("steps", [["a"], ["a", "b", "a"]])
def test_funnel_has_to_lead_somewhere(steps: list[str]) -> None:
    """A funnel of one step, or with a step twice, is refused."""
    with pytest.raises(ConfigError, match="two or more different events"):
        build_views("main", [], funnel=steps)


def test_properties_are_an_object_again(database: Database) -> None:
    """Names are Mixpanel's own, what a row has not is left out, quotes and braces do no harm."""
    database.add("ada a 10:00:00", "ada b 10:00:01")
    database.connection.execute("UPDATE export SET plan = 'it''s \"{1}\"' WHERE event = 'a'")
    properties = [
        Property('{schema} "Plan\'s" %', "plan", "text"),
        Property("$price", "price", "double"),
    ]
    assert database.read("mixpanel_event", "name, properties", properties) == [
        ("a", '{"{schema} \\"Plan\'s\\" %":"it\'s \\"{1}\\""}'),
        ("b", "{}"),
    ]


def test_events_without_insert_id_stay_apart(database: Database) -> None:
    """What the dbt package tells events apart by is there for each, and so is when it was read."""
    database.add("ada a 10:00:00", "ada a 10:00:00")
    database.connection.execute(
        "INSERT INTO _mixpanel_loads VALUES "
        "('export', '2026-11-01', '2026-11-02', '2026-11-03 01:00:00+00'), "
        "('export', '2026-11-02', '2026-11-02', '2026-11-04 01:00:00+00'), "
        "('engage', NULL, NULL, '2026-11-05 01:00:00+00')"
    )
    synced = datetime(2026, 11, 4, 1, tzinfo=timezone.utc)
    moment = datetime(2026, 11, 2, 10)  # noqa: DTZ001 - the view's time has no zone
    columns = "insert_id, _fivetran_id, time, epoch_us(_fivetran_synced)"
    micros = int(synced.timestamp() * 1e6)
    assert database.read("mixpanel_event", columns) == [
        ("key0", "key0", moment, micros),
        ("key1", "key1", moment, micros),
    ]


def test_views_are_beside_the_tables() -> None:
    """No view has the name of a table, for both are in one schema."""
    loaded = {*TABLE_NAMES, *(one.name for one in ENDPOINTS)}
    assert not {*build_views("mixpanel", [], funnel=("A", "B"))} & loaded
