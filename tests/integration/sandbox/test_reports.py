"""Reports over time, compared with results computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from mixpanel_sandbox import Project, Sandbox
from tests.integration.sandbox.projects import report_project
from tests.support.sandbox_calls import export, query, send

DAYS = {"from_date": "2026-11-16", "to_date": "2026-11-18"}
VIEWS = {"event": "View", **DAYS}
MON, TUE, WED = "2026-11-16", "2026-11-17", "2026-11-18"


@pytest.fixture
def project() -> Project:
    """The project, which the test may change."""
    return report_project()


def values(sandbox: Sandbox, path: str, **params: object) -> Any:
    """Send a query and return the counts of its segmentation envelope."""
    response = query(sandbox, path, **params)
    assert response.status == 200, response.body
    assert response.json()["legend_size"] == len(response.json()["data"]["values"])
    return response.json()["data"]["values"]


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
    """Duplicates count once; days without events are 0."""
    assert values(sandbox, "segmentation", **VIEWS, type=kind) == {"View": counts}


def test_export_has_duplicates(sandbox: Sandbox) -> None:
    """Only reports deduplicate events; duplicates differ in their processing time."""
    assert export(sandbox, MON, event='["View"]').body.count(b'"i1"') == 2
    where = 'properties["mp_processing_time_ms"] > 1'
    assert export(sandbox, MON, where=where).body.count(b"\n") == 1
    assert values(sandbox, "segmentation", **VIEWS, where=where) == {
        "View": {MON: 0, TUE: 0, WED: 0}
    }


def test_buckets_are_in_the_project_timezone(sandbox: Sandbox, project: Project) -> None:
    """An event at 23:30 local time is on the next day in UTC."""
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
def test_bucket_names(sandbox: Sandbox, unit: str, counts: dict[str, int]) -> None:
    """Days, weeks and months are named by date, hours and minutes by date and time."""
    result = values(sandbox, "segmentation", **VIEWS, unit=unit)["View"]
    assert {key: count for key, count in result.items() if count} == counts


def test_interval_in_days(sandbox: Sandbox) -> None:
    """Buckets of two days start with the first requested day."""
    assert values(sandbox, "segmentation", **VIEWS, interval=2) == {"View": {MON: 4, WED: 0}}


@pytest.mark.parametrize(
    ("on", "counts"),
    [
        ("plan", {"pro": {MON: 1, TUE: 1}, "free": {MON: 1}, "undefined": {MON: 1}}),
        ("tags", {"a": {MON: 1}, "b": {MON: 1, TUE: 1}, "undefined": {MON: 2}}),
        ("price", {"10": {MON: 1}, "25": {MON: 1}, "x": {MON: 1}, "5.5": {TUE: 1}}),
    ],
)
def test_segments(sandbox: Sandbox, on: str, counts: dict[str, Any]) -> None:
    """Lists are split, numbers are JSON, missing is `undefined`; empty days are absent."""
    assert values(sandbox, "segmentation", **VIEWS, on=f'properties["{on}"]') == counts


def test_limit_keeps_the_largest_segments(sandbox: Sandbox) -> None:
    """`limit` has no effect without `on`."""
    plan = 'properties["plan"]'
    assert values(sandbox, "segmentation", **VIEWS, on=plan, limit=1).keys() == {"pro"}
    assert values(sandbox, "segmentation", **VIEWS, limit=1).keys() == {"View"}
    assert query(sandbox, "segmentation", **VIEWS, on=plan, limit=10_001).status == 400


def test_key_order_is_arbitrary_but_repeatable(sandbox: Sandbox) -> None:
    """Clients that rely on the order of keys fail."""
    params = {**VIEWS, "from_date": "2026-11-09"}
    responses = [query(sandbox, "segmentation", **params).body for _ in range(2)]
    series = query(sandbox, "segmentation", **params).json()["data"]["series"]
    assert responses[0] == responses[1]
    assert series != sorted(series)
    assert sorted(series)[0] == "2026-11-09"
    assert len(series) == 10


@pytest.mark.parametrize("path", ["segmentation", "events/names", "retention"])
def test_older_paths(sandbox: Sandbox, path: str) -> None:
    """`/api/2.0` has the same query endpoints as `/api/query`."""
    params = {**VIEWS, "type": "general", "born_event": "View"}
    assert send(sandbox, f"/api/2.0/{path}", params).body == query(sandbox, path, **params).body


def test_numeric_segmentation(sandbox: Sandbox) -> None:
    """Ranges have equal widths and round bounds with thousands separators; text has none."""
    on = 'properties["price"] * 100'
    assert values(sandbox, "segmentation/numeric", **VIEWS, on=on) == {
        "400 - 600": {TUE: 1},
        "1,000 - 1,200": {MON: 1},
        "2,400 - 2,600": {MON: 1},
    }


def test_sums_and_averages(sandbox: Sandbox) -> None:
    """Values that are not numbers count as 0."""
    params = {**VIEWS, "on": 'properties["price"]'}
    total = query(sandbox, "segmentation/sum", **params).json()
    mean = query(sandbox, "segmentation/average", **params).json()
    assert total["results"] == {MON: 35, TUE: 5.5, WED: 0}
    assert mean["results"] == {MON: pytest.approx(35 / 3), TUE: 5.5, WED: 0}
    assert {total["status"], mean["status"]} == {"ok"}
    assert total["computed_at"] == "2026-11-20T12:00:00.000000+00:00"


def test_infinite_and_huge_numbers(sandbox: Sandbox, project: Project) -> None:
    """Infinite and huge numbers are treated like text."""
    for odd in (b"1e999", b"NaN", b"9" * 400):
        line = b'{"event":"View","properties":{"time":1794859200,"price":' + odd + b"}}"
        project.events[next(iter(project.events))].append(line)
    params = {**VIEWS, "on": 'properties["price"]'}
    assert query(sandbox, "segmentation/sum", **params).json()["results"][MON] == 35
    assert len(values(sandbox, "segmentation/numeric", **params)) == 3


def test_counts_as_csv(sandbox: Sandbox) -> None:
    """There is a column per segment and a line per bucket, in order."""
    response = query(sandbox, "segmentation", **VIEWS, format="csv")
    assert response.headers["Content-Type"] == "text/csv"
    assert response.body.decode().split() == ["date,View", f"{MON},3", f"{TUE},1", f"{WED},0"]


def test_event_counts(sandbox: Sandbox) -> None:
    """Events that never happened are included, as 0."""
    params = {"event": '["View", "Nope"]', "type": "unique", "unit": "day", **DAYS}
    assert values(sandbox, "events", **params) == {
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
def test_interval_ends_now(
    sandbox: Sandbox, unit: str, interval: int, counts: dict[str, int]
) -> None:
    """`interval` is a number of units including the current one."""
    params = {"event": '["Ping"]', "type": "general", "unit": unit, "interval": interval}
    assert values(sandbox, "events", **params) == {"Ping": counts}


def test_event_property_counts(sandbox: Sandbox) -> None:
    """All values, the requested ones, or the most frequent ones are counted."""
    params = {"event": "View", "name": "plan", "type": "general", "unit": "day", **DAYS}
    expected = {
        "pro": {MON: 1, TUE: 1, WED: 0},
        "free": {MON: 1, TUE: 0, WED: 0},
        "undefined": {MON: 1, TUE: 0, WED: 0},
    }
    assert values(sandbox, "events/properties", **params) == expected
    assert values(sandbox, "events/properties", **params, limit=1) == {"pro": expected["pro"]}
    free = {"free": expected["free"]}
    assert values(sandbox, "events/properties", **params, values='["free", "x"]') == free


@pytest.mark.parametrize(("kind", "amount", "change"), [("general", 2, 0), ("unique", 2, 1)])
def test_today_is_compared_with_yesterday_so_far(
    sandbox: Sandbox, kind: str, amount: int, change: float
) -> None:
    """At 04:00, events of yesterday at 05:00 are left out."""
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


def test_most_frequent_properties_and_values(sandbox: Sandbox) -> None:
    """Properties count events that have them; values are strings."""
    counts = query(sandbox, "events/properties/top", event="View").json()
    assert counts["plan"] == {"count": 3}
    assert counts["price"] == {"count": 4}
    assert len(query(sandbox, "events/properties/top", event="View", limit=2).json()) == 2
    params = {"event": "View", "name": "plan"}
    assert query(sandbox, "events/properties/values", **params).json() == ["pro", "free"]
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
def test_invalid_parameters(
    sandbox: Sandbox, path: str, params: dict[str, object], error: str
) -> None:
    """An invalid parameter is a 400 with the reason and the request."""
    response = query(sandbox, path, **params)
    assert response.status == 400
    assert response.json()["error"].startswith(error)
    assert response.json()["request"].startswith(f"/api/query/{path}?")


def test_invalid_events_are_skipped(sandbox: Sandbox, project: Project) -> None:
    """ISO and millisecond times are read; events without a time are in no report."""
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
