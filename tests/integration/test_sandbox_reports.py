"""Reports of the sandbox by time, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mixpanel_sandbox import Project, Sandbox
from tests.integration.sandbox_calls import ask, export, query, serve, told_project

DAYS = {"from_date": "2026-11-16", "to_date": "2026-11-18"}
VIEWS = {"event": "View", **DAYS}
MON, TUE, WED = "2026-11-16", "2026-11-17", "2026-11-18"


@pytest.fixture
def project() -> Project:
    """Return the project a test may change."""
    return told_project()


@pytest.fixture
def sandbox(project: Project) -> Iterator[Sandbox]:
    """Run a sandbox on the project."""
    with serve(project) as running:
        yield running


def values(sandbox: Sandbox, path: str, **params: object) -> Any:
    """Return the counts of a reply in the envelope of segmentation."""
    reply = query(sandbox, path, **params)
    assert reply.status == 200, reply.body
    assert reply.json()["legend_size"] == len(reply.json()["data"]["values"])
    return reply.json()["data"]["values"]


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("general", {MON: 3, TUE: 1, WED: 0}),
        ("unique", {MON: 2, TUE: 1, WED: 0}),
        ("average", {MON: 1.5, TUE: 1, WED: 0}),
    ],
)
def test_segmentation_counts_events_or_people(
    sandbox: Sandbox, kind: str, counts: dict[str, float]
) -> None:
    """What came twice counts once; days without an event are 0."""
    assert values(sandbox, "segmentation", **VIEWS, type=kind) == {"View": counts}


def test_the_export_serves_what_came_twice_twice(sandbox: Sandbox) -> None:
    """Only reports count it once; it can be told apart by when it was processed."""
    assert export(sandbox, MON, event='["View"]').body.count(b'"i1"') == 2
    where = 'properties["mp_processing_time_ms"] > 1'
    assert export(sandbox, MON, where=where).body.count(b"\n") == 1
    assert values(sandbox, "segmentation", **VIEWS, where=where) == {
        "View": {MON: 0, TUE: 0, WED: 0}
    }


def test_buckets_are_in_the_zone_of_the_project(sandbox: Sandbox, project: Project) -> None:
    """An event half an hour before midnight is one of the day before in UTC."""
    assert values(sandbox, "segmentation", **VIEWS)["View"][TUE] == 1
    project.timezone = "UTC"
    assert values(sandbox, "segmentation", **VIEWS) == {"View": {MON: 3, TUE: 0, WED: 1}}


@pytest.mark.parametrize(
    ("unit", "counts"),
    [
        ("week", {MON: 4}),
        ("month", {"2026-11-01": 4}),
        ("hour", {f"{MON} {hour}:00:00": 1 for hour in (10, 11, 12)} | {f"{TUE} 23:00:00": 1}),
        (
            "minute",
            {f"{MON} {hour}:00:00": 1 for hour in (10, 11, 12)} | {f"{TUE} 23:30:00": 1},
        ),
    ],
)
def test_units_name_their_buckets(sandbox: Sandbox, unit: str, counts: dict[str, int]) -> None:
    """Days and more are dates, a week its Monday; hours and minutes have a time."""
    found = values(sandbox, "segmentation", **VIEWS, unit=unit)["View"]
    assert {key: count for key, count in found.items() if count} == counts


def test_an_interval_is_a_number_of_days(sandbox: Sandbox) -> None:
    """Buckets of two days start with the first day asked for."""
    assert values(sandbox, "segmentation", **VIEWS, interval=2) == {"View": {MON: 4, WED: 0}}


@pytest.mark.parametrize(
    ("on", "counts"),
    [
        ("plan", {"pro": {MON: 1, TUE: 1}, "free": {MON: 1}, "undefined": {MON: 1}}),
        ("tags", {"a": {MON: 1}, "b": {MON: 1, TUE: 1}, "undefined": {MON: 2}}),
        ("price", {"10": {MON: 1}, "25": {MON: 1}, "x": {MON: 1}, "5.5": {TUE: 1}}),
    ],
)
def test_segments_are_values(sandbox: Sandbox, on: str, counts: dict[str, Any]) -> None:
    """Items of lists, numbers as JSON, `undefined` for none; days without an event are absent."""
    assert values(sandbox, "segmentation", **VIEWS, on=f'properties["{on}"]') == counts


def test_the_largest_segments_are_kept(sandbox: Sandbox) -> None:
    """`limit` does nothing without `on`."""
    plan = 'properties["plan"]'
    assert values(sandbox, "segmentation", **VIEWS, on=plan, limit=1).keys() == {"pro"}
    assert values(sandbox, "segmentation", **VIEWS, limit=1).keys() == {"View"}
    assert query(sandbox, "segmentation", **VIEWS, on=plan, limit=10_001).status == 400


def test_keys_are_in_no_order_but_always_the_same(sandbox: Sandbox) -> None:
    """A client that leans on the order of keys is found out."""
    asked = {**VIEWS, "from_date": "2026-11-09"}
    replies = [query(sandbox, "segmentation", **asked).body for _ in range(2)]
    series = query(sandbox, "segmentation", **asked).json()["data"]["series"]
    assert replies[0] == replies[1]
    assert series != sorted(series)
    assert sorted(series)[0] == "2026-11-09"
    assert len(series) == 10


@pytest.mark.parametrize("path", ["segmentation", "events/names", "retention"])
def test_the_older_path_is_the_same_service(sandbox: Sandbox, path: str) -> None:
    """Old clients ask /api/2.0 for what /api/query answers."""
    asked = {**VIEWS, "type": "general", "born_event": "View"}
    assert ask(sandbox, f"/api/2.0/{path}", asked).body == query(sandbox, path, **asked).body


def test_numbers_fall_into_about_ten_ranges(sandbox: Sandbox) -> None:
    """Ranges are equal, their borders round, with commas; text is in none of them."""
    on = 'properties["price"] * 100'
    assert values(sandbox, "segmentation/numeric", **VIEWS, on=on) == {
        "400 - 600": {TUE: 1},
        "1,000 - 1,200": {MON: 1},
        "2,400 - 2,600": {MON: 1},
    }


def test_sums_and_averages(sandbox: Sandbox) -> None:
    """What is no number counts as 0 in both."""
    asked = {**VIEWS, "on": 'properties["price"]'}
    total = query(sandbox, "segmentation/sum", **asked).json()
    mean = query(sandbox, "segmentation/average", **asked).json()
    assert total["results"] == {MON: 35, TUE: 5.5, WED: 0}
    assert mean["results"] == {MON: pytest.approx(35 / 3), TUE: 5.5, WED: 0}
    assert {total["status"], mean["status"]} == {"ok"}
    assert total["computed_at"] == "2026-11-20T12:00:00.000000+00:00"


def test_numbers_that_are_none(sandbox: Sandbox, project: Project) -> None:
    """What is infinite, or larger than any number a report has, counts as text does."""
    for odd in (b"1e999", b"NaN", b"9" * 400):
        line = b'{"event":"View","properties":{"time":1794859200,"price":' + odd + b"}}"
        project.events[next(iter(project.events))].append(line)
    asked = {**VIEWS, "on": 'properties["price"]'}
    assert query(sandbox, "segmentation/sum", **asked).json()["results"][MON] == 35
    assert len(values(sandbox, "segmentation/numeric", **asked)) == 3


def test_counts_may_be_csv(sandbox: Sandbox) -> None:
    """A column for each segment, a line for each bucket, in their order."""
    reply = query(sandbox, "segmentation", **VIEWS, format="csv")
    assert reply.headers["Content-Type"] == "text/csv"
    assert reply.body.decode().split() == ["date,View", f"{MON},3", f"{TUE},1", f"{WED},0"]


def test_several_events_are_counted_at_once(sandbox: Sandbox) -> None:
    """Events that never happened are 0 as well."""
    asked = {"event": '["View", "Nope"]', "type": "unique", "unit": "day", **DAYS}
    assert values(sandbox, "events", **asked) == {
        "View": {MON: 2, TUE: 1, WED: 0},
        "Nope": {MON: 0, TUE: 0, WED: 0},
    }


@pytest.mark.parametrize(
    ("unit", "interval", "counts"),
    [
        ("day", 2, {"2026-11-19": 3, "2026-11-20": 2}),
        ("hour", 2, {"2026-11-20 03:00:00": 2, "2026-11-20 04:00:00": 0}),
        ("week", 1, {MON: 5}),
        ("month", 2, {"2026-10-01": 0, "2026-11-01": 5}),
    ],
)
def test_an_interval_ends_now(
    sandbox: Sandbox, unit: str, interval: int, counts: dict[str, int]
) -> None:
    """So many units, the current one included."""
    asked = {"event": '["Ping"]', "type": "general", "unit": unit, "interval": interval}
    assert values(sandbox, "events", **asked) == {"Ping": counts}


def test_values_of_a_property_are_counted(sandbox: Sandbox) -> None:
    """All of them, those asked for, or the most common ones."""
    asked = {"event": "View", "name": "plan", "type": "general", "unit": "day", **DAYS}
    every = {
        "pro": {MON: 1, TUE: 1, WED: 0},
        "free": {MON: 1, TUE: 0, WED: 0},
        "undefined": {MON: 1, TUE: 0, WED: 0},
    }
    assert values(sandbox, "events/properties", **asked) == every
    assert values(sandbox, "events/properties", **asked, limit=1) == {"pro": every["pro"]}
    free = {"free": every["free"]}
    assert values(sandbox, "events/properties", **asked, values='["free", "x"]') == free


@pytest.mark.parametrize(("kind", "amount", "change"), [("general", 2, 0), ("unique", 2, 1)])
def test_today_is_compared_with_yesterday_so_far(
    sandbox: Sandbox, kind: str, amount: int, change: float
) -> None:
    """At four in the morning, what happened yesterday at five is left out."""
    assert query(sandbox, "events/top", type=kind).json() == {
        "events": [{"event": "Ping", "amount": amount, "percent_change": change}],
        "type": kind,
    }


def test_names_of_events_are_those_of_31_days(sandbox: Sandbox) -> None:
    """Older ones are silent unless days are given; the most common ones are kept."""
    names = ["Buy", "Cart", "Ping", "View"]
    assert query(sandbox, "events/names", type="general").json() == names
    assert query(sandbox, "events/names", type="general", limit=1).json() == ["Ping"]
    days = {"from_date": "2026-01-01", "to_date": "2026-11-20"}
    everything = query(sandbox, "events/names", type="general", **days).json()
    assert everything == ["Buy", "Cart", "Old", "Ping", "View"]


def test_most_common_properties_and_values(sandbox: Sandbox) -> None:
    """Events are counted that have them; values are text."""
    counts = query(sandbox, "events/properties/top", event="View").json()
    assert counts["plan"] == {"count": 3}
    assert counts["price"] == {"count": 4}
    assert len(query(sandbox, "events/properties/top", event="View", limit=2).json()) == 2
    asked = {"event": "View", "name": "plan"}
    assert query(sandbox, "events/properties/values", **asked).json() == ["pro", "free"]
    prices = query(sandbox, "events/properties/values", event="View", name="price").json()
    assert sorted(prices) == ["10", "25", "5.5", "x"]


@pytest.mark.parametrize(
    ("path", "params", "error"),
    [
        ("segmentation", DAYS, "event is a required parameter"),
        ("segmentation", {"event": "View"}, "from_date is a required parameter"),
        ("segmentation/sum", VIEWS, "on is a required parameter"),
        ("segmentation", {**VIEWS, "to_date": "2026-11-21"}, "to_date cannot be later than today"),
        ("segmentation", {**VIEWS, "unit": "year"}, "Error in unit: must be one of minute, hour"),
        ("segmentation", {**VIEWS, "on": "properties["}, "the expression ends too early"),
        ("segmentation", {**VIEWS, "where": 'properties["plan"]'}, "expected true or false"),
        ("segmentation", {**VIEWS, "where": "("}, "the expression ends too early"),
        ("segmentation", {**VIEWS, "on": 'not "a"'}, "expected true or false"),
        ("segmentation", {**VIEWS, "limit": "x"}, "Error in limit: must be a positive number"),
        ("events", {"event": '["View"]', "unit": "day"}, "type is a required parameter"),
        ("events", {"event": "View", "type": "general"}, "Error in event: must be a JSON array"),
        (
            "events",
            {"event": '["View"]', "type": "unique", "unit": "hour", "interval": 1},
            "type unique is not supported with unit hour",
        ),
        ("events/properties/values", {"event": "View"}, "name is a required parameter"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    sandbox: Sandbox, path: str, params: dict[str, object], error: str
) -> None:
    """The status is 400; the error says what is wrong, and echoes the request."""
    reply = query(sandbox, path, **params)
    assert reply.status == 400
    assert reply.json()["error"].startswith(error)
    assert reply.json()["request"].startswith(f"/api/query/{path}?")


def test_events_without_a_time_are_in_no_report(sandbox: Sandbox, project: Project) -> None:
    """Times as text and in milliseconds are read; lines that are no events are passed over."""
    day = next(iter(project.events))
    project.events[day] += [
        b'{"event":"Odd","properties":{"time":"2026-11-16T20:00:00","distinct_id":1}}',
        b'{"event":"Odd","properties":{"time":1794859200000}}',
        b'{"event":"Odd","properties":{}}',
        b'{"event":"Odd","properties":{"time":null}}',
        b"[]",
        b"{",
    ]
    assert values(sandbox, "segmentation", **{**VIEWS, "event": "Odd"})["Odd"][MON] == 2
