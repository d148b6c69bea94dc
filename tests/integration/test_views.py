"""The views over a loaded project show what plain counting in Python shows, in each database."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import dlt
import duckdb
import pytest

from mixpanel_sandbox import Project, made_up_project
from mixpanel_source import open_pipeline
from mixpanel_source.errors import ConfigError
from mixpanel_source.views import create_views
from tests.docs.test_pages import statements
from tests.support.lab import Lab, open_lab
from tests.support.projects import ANCHOR, YESTERDAY, add_event

FUNNEL = ("Product Viewed", "Added to Cart", "Checkout Started", "Order Completed")
FUNNEL_DAYS = 3
PAUSE = timedelta(minutes=30)

Row = tuple[Any, ...]


class Event(NamedTuple):
    """What the views look at."""

    user: str
    time: datetime
    name: str

    @property
    def week(self) -> date:
        """The Monday before."""
        return self.time.date() - timedelta(days=self.time.weekday())


@pytest.fixture
def shop(any_pipeline: dlt.Pipeline) -> Iterator[Lab]:
    """Two weeks of the made-up shop, loaded to each of the destinations."""
    project = made_up_project(last_day=YESTERDAY, days=14)
    with open_lab(project, any_pipeline) as lab:
        lab.sync("export", anchor_date=min(project.events))
        yield lab


def read(lab: Lab, query: str) -> list[Row]:
    """What a query answers, in order."""
    with lab.pipeline.sql_client() as client:
        rows = client.execute_sql(query.replace("{schema}", client.dataset_name))
    return sorted(tuple(row) for row in rows or ())


def happened(project: Project) -> list[Event]:
    """The events of a project, each once, in order."""
    found = {}
    for line in (line for lines in project.events.values() for line in lines):
        event = json.loads(line)
        given = event["properties"]
        moment = datetime.fromtimestamp(given["time"], tz=timezone.utc)
        found[given["$insert_id"]] = Event(given["distinct_id"], moment, event["event"])
    return sorted(found.values())


def by_user(events: list[Event]) -> dict[str, list[Event]]:
    """The events of each user, in order; those of nobody left out."""
    users: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.user:
            users[event.user].append(event)
    return users


def count_by(events: list[Event], days: dict[Event, date]) -> list[Row]:
    """Events and users for each day, or whatever `days` says, and name."""
    groups: defaultdict[tuple[date, str], list[str]] = defaultdict(list)
    for event in events:
        groups[days[event], event.name].append(event.user)
    return sorted((*key, len(who), len(set(who) - {""})) for key, who in groups.items())


def count_active(events: list[Event]) -> list[Row]:
    """Users of each day and of the 7 and 30 days that end with it."""
    rows = []
    for day in sorted({event.time.date() for event in events}):
        ages = [((day - event.time.date()).days, event.user) for event in events if event.user]
        spans = [len({who for age, who in ages if 0 <= age < span}) for span in (1, 7, 30)]
        rows.append((day, *spans))
    return rows


def count_sessions(events: list[Event]) -> list[Row]:
    """User, number of the session, seconds, events."""
    rows = []
    for user, own in by_user(events).items():
        sessions: list[list[datetime]] = []
        for event in own:
            if sessions and event.time - sessions[-1][-1] <= PAUSE:
                sessions[-1].append(event.time)
            else:
                sessions.append([event.time])
        for number, times in enumerate(sessions, 1):
            rows.append((user, number, (times[-1] - times[0]).total_seconds(), len(times)))
    return sorted(rows)


def count_retention(events: list[Event]) -> list[Row]:
    """First week, weeks since, users."""
    users = by_user(events).values()
    weeks = {event.week for own in users for event in own}
    firsts = {own[0].week for own in users}
    counts = {(first, (week - first).days // 7): 0 for first in firsts for week in weeks}
    for own in users:
        for week in {event.week for event in own}:
            counts[own[0].week, (week - own[0].week).days // 7] += 1
    return sorted((*key, users) for key, users in counts.items() if key[1] >= 0)


def gets_far(own: list[Event], steps: tuple[str, ...]) -> bool:
    """Whether the user did the steps in order, in time, at any try."""
    return any(
        event.name == steps[0] and goes_on(own, steps[1:], event.time, event.time) for event in own
    )


def goes_on(own: list[Event], steps: tuple[str, ...], begun: datetime, now: datetime) -> bool:
    """Whether the steps that are left follow in time; the earliest of each is as good as any."""
    if not steps:
        return True
    times = [event.time for event in own if event.name == steps[0] and event.time >= now]
    in_time = times and times[0] - begun <= timedelta(days=FUNNEL_DAYS)
    return bool(in_time) and goes_on(own, steps[1:], begun, times[0])


def test_views_show_what_happened(shop: Lab) -> None:
    """Each view, whole, is what a slow count of the events served comes to."""
    events = happened(shop.project)
    create_views(shop.pipeline, funnel=FUNNEL, funnel_days=FUNNEL_DAYS)

    days = {event: event.time.date() for event in events}
    assert read(shop, "SELECT * FROM {schema}.events_by_day") == count_by(events, days)
    months = {event: day.replace(day=1) for event, day in days.items()}
    assert read(shop, "SELECT * FROM {schema}.events_by_month") == count_by(events, months)
    assert read(shop, "SELECT * FROM {schema}.active_users") == count_active(events)
    sessions = "SELECT distinct_id, session_number, duration_s, events FROM {schema}.sessions"
    assert read(shop, sessions) == count_sessions(events)
    retention = "SELECT first_week, weeks_later, users FROM {schema}.retention_by_week"
    assert read(shop, retention) == count_retention(events)
    users = by_user(events).values()
    reached = [
        (number, step, sum(gets_far(own, FUNNEL[:number]) for own in users))
        for number, step in enumerate(FUNNEL, 1)
    ]
    assert read(shop, "SELECT step, event, users FROM {schema}.funnel") == reached
    # this would hold of no user at all, too
    assert reached[0][2] > reached[-1][2] > 0
    assert_every_property_is_in_the_fivetran_view(shop)


def assert_every_property_is_in_the_fivetran_view(shop: Lab) -> None:
    """`mixpanel_event` has each event once, with all its properties, under Fivetran's names."""
    rows = read(
        shop,
        "SELECT insert_id, name, distinct_id, browser, browser_version, has_telephone, properties "
        "FROM {schema}.mixpanel_event",
    )
    served = {}
    for line in (line for lines in shop.project.events.values() for line in lines):
        event = json.loads(line)
        served[event["properties"]["$insert_id"]] = event
    assert [row[0] for row in rows] == sorted(served)
    for insert_id, name, user, browser, version, telephone, properties in rows:
        expected = served[insert_id]["properties"]
        assert (name, user, telephone) == (
            served[insert_id]["event"],
            expected["distinct_id"],
            None,
        )
        assert browser == expected.get("$browser")
        assert version is None or float(version) == expected["$browser_version"]
        left_out = ("time", "distinct_id", "$insert_id")
        # which of two equal events was kept shows in when it was processed
        kept = {
            key: value
            for key, value in expected.items()
            if value is not None and key not in left_out and "time" not in key
        }
        found = json.loads(properties)
        assert {key: value for key, value in found.items() if "time" not in key} == kept


def test_views_live_with_what_is_loaded_next(any_lab: Lab) -> None:
    """Syncs go on under the views, and views created again know the new properties."""
    any_lab.sync()
    for schema in (None, "analysis"):
        create_views(any_lab.pipeline, schema=schema)
    add_event(any_lab.project, YESTERDAY, 7, **{"100% new": "so", "$wifi": True, "$os": "Linux"})
    report = any_lab.sync()
    assert report.failures == {}
    day = f"event_date = '{YESTERDAY}'"
    rows = read(any_lab, f"SELECT events FROM {{schema}}.events_by_day WHERE {day}")
    assert sum(events for (events,) in rows) == 4
    query = "SELECT wifi, os, properties FROM {place}.mixpanel_event WHERE insert_id LIKE '%-7'"
    for schema in (None, "analysis"):
        create_views(any_lab.pipeline, schema=schema)
        ((wifi, os, properties),) = read(any_lab, query.replace("{place}", schema or "{schema}"))
        assert (wifi, os, json.loads(properties)["100% new"]) == (True, "Linux", "so")


def test_properties_stored_as_json_are_taken_as_they_are(any_lab: Lab) -> None:
    """Where `export` has all properties in one column the view has them from there."""
    any_lab.sync("export", properties="json")
    create_views(any_lab.pipeline)
    texts = [text for (text,) in read(any_lab, "SELECT properties FROM {schema}.mixpanel_event")]
    found = {json.loads(text)["$insert_id"] for text in texts}
    assert found == {f"{day}-{n}" for day in any_lab.project.events for n in range(3)}


def test_properties_past_the_cap_are_in_the_view(any_lab: Lab) -> None:
    """What went to `other_properties` is among the properties of the view, as all else."""
    more = {f"size {number}": number for number in range(10)}
    add_event(any_lab.project, ANCHOR, 7, colour="red", **more)
    any_lab.sync("export", max_columns=10)
    create_views(any_lab.pipeline)
    query = "SELECT properties FROM {schema}.mixpanel_event"
    found = [json.loads(text) for (text,) in read(any_lab, query)]
    (red,) = [one for one in found if one.get("colour") == "red"]
    assert {key: value for key, value in red.items() if "size" in key} == more


def test_a_file_may_be_renamed(lab: Lab) -> None:
    """The views of a DuckDB file do not know its name."""
    lab.sync("export")
    create_views(lab.pipeline, schema="analysis")
    renamed = Path("mixpanel.duckdb").rename("events.duckdb")
    with duckdb.connect(str(renamed), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM analysis.mixpanel_event").fetchall() == [
            (24,)
        ]


def test_views_need_a_load_first() -> None:
    """Without events the error says what to do."""
    with pytest.raises(ConfigError, match="run a sync first"):
        create_views(open_pipeline())


def test_views_need_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a destination without our SQL it is said that it has none."""
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "files"))
    with pytest.raises(ConfigError, match=r"for duckdb, .*postgres; .*filesystem"):
        create_views(open_pipeline("filesystem", name="files"))


def micros(day: date, minute: int) -> int:
    """A moment in microseconds since the epoch."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    return int((midnight + timedelta(minutes=minute)).timestamp()) * 1_000_000


def test_experiments_and_identities(any_lab: Lab) -> None:
    """Who saw which variant since when, what users did on a day, and whose device it was."""
    project, day = any_lab.project, YESTERDAY
    project.events = {}
    exposures = [
        ("u1", "checkout", "on", 5),
        ("u1", "checkout", "on", 3),
        ("u2", "checkout", "on", 4),
        ("u2", "checkout", "off", 6),
        ("u1", "search", "off", 9),
        ("u3", None, "on", 10),
        ("", "checkout", "on", 11),
    ]
    for user, experiment, variant, minute in exposures:
        given = {"distinct_id": user, "Experiment name": experiment, "Variant name": variant}
        add_event(project, day, minute, **given, **{"$experiment_id": "e1"})
        line = json.loads(project.events[day].pop())
        project.events[day].append(json.dumps({**line, "event": "$experiment_started"}).encode())
    signed_in = {"$device_id": "d1", "$user_id": "u1", "distinct_id": "u1", "price": 2}
    before = {**signed_in, "$user_id": None, "$distinct_id_before_identity": "$device:d1"}
    add_event(project, day, 20, **{**before, "price": 1.5})
    add_event(project, day, 21, **signed_in)
    add_event(project, day, 22, **{**signed_in, "$user_id": "u2", "distinct_id": "u2"})
    add_event(project, day, 23, distinct_id="$device:d2", **{"$device_id": "d2"})
    any_lab.sync("export")
    create_views(any_lab.pipeline, sums=["price"])
    create_views(any_lab.pipeline, sums=["price"])

    found = read(
        any_lab,
        "SELECT distinct_id, experiment, variant, experiment_id, variants, exposures, "
        "CAST(extract(epoch FROM exposed_at) AS bigint) * 1000000 "
        "FROM {schema}.experiment_exposures",
    )
    assert found == [
        ("u1", "checkout", "on", "e1", 1, 2, micros(day, 3)),
        ("u1", "search", "off", "e1", 1, 1, micros(day, 9)),
        ("u2", "checkout", "off", "e1", 2, 1, micros(day, 6)),
        ("u2", "checkout", "on", "e1", 2, 1, micros(day, 4)),
    ]
    metrics = read(
        any_lab,
        "SELECT distinct_id, event, events, sum_price FROM {schema}.metrics_by_user_day "
        f"WHERE event_date = '{day}' AND event = 'Order'",
    )
    assert metrics == [
        ("$device:d2", "Order", 1, 23.0),
        ("u1", "Order", 2, 3.5),
        ("u2", "Order", 1, 2.0),
    ]
    devices = read(
        any_lab, "SELECT device_id, position, user_id, events FROM {schema}.device_users"
    )
    assert devices == [("d1", 1, "u1", 1), ("d1", 2, "u2", 1)]
    ids = read(
        any_lab,
        "SELECT id, distinct_id, is_distinct_id FROM {schema}.identities WHERE id LIKE '$device%'",
    )
    assert ids == [
        ("$device:d1", "u1", False),
        ("$device:d1", "u2", False),
        ("$device:d2", "$device:d2", True),
    ]
    for statement in statements("experiments.md"):
        assert read(any_lab, statement), statement
    with pytest.raises(ConfigError, match="sums names plan; it must name properties of events"):
        create_views(any_lab.pipeline, sums=["plan"])
