"""Funnels, retention, frequency and activity of the sandbox, worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mixpanel_sandbox import Project, Sandbox
from tests.integration.sandbox_calls import query, serve, tell, told_project

MON, TUE, WED, THU = "2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19"
FUNNEL = {"funnel_id": 1, "from_date": MON, "to_date": TUE}
BORN = {"from_date": MON, "to_date": THU, "born_event": "View", "event": "View"}


@pytest.fixture
def project() -> Project:
    """Return the project a test may change."""
    return told_project()


@pytest.fixture
def sandbox(project: Project) -> Iterator[Sandbox]:
    """Run a sandbox on the project."""
    with serve(project) as running:
        yield running


def funnel(sandbox: Sandbox, **params: object) -> dict[str, Any]:
    """Return the buckets of a funnel by their start."""
    reply = query(sandbox, "funnels", **{**FUNNEL, **params})
    assert reply.status == 200, reply.body
    data: dict[str, Any] = reply.json()["data"]
    assert sorted(data) == reply.json()["meta"]["dates"]
    return data


def counts(steps: list[dict[str, Any]]) -> list[int]:
    """Return how many took each step."""
    return [step["count"] for step in steps]


def test_steps_are_taken_in_their_order(sandbox: Sandbox) -> None:
    """Ann bought before she had a cart, Cal saw nothing first; Bob went all the way at night."""
    found = funnel(sandbox)
    assert {day: counts(bucket["steps"]) for day, bucket in found.items()} == {
        MON: [2, 1, 0],
        TUE: [1, 1, 1],
    }
    assert found[MON]["analysis"] == {
        "completion": 0,
        "starting_amount": 2,
        "steps": 3,
        "worst": 2,
    }


def test_steps_say_how_long_they_took(sandbox: Sandbox) -> None:
    """Seconds since the step before and since the first; shares of both as well."""
    names = ("avg_time", "avg_time_from_start", "step_conv_ratio", "overall_conv_ratio", "event")
    monday = [[step[name] for name in names] for step in funnel(sandbox)[MON]["steps"]]
    tuesday = [[step[name] for name in names] for step in funnel(sandbox)[TUE]["steps"]]
    assert monday == [
        [None, 0, 1, 1, "View"],
        [10_800, 10_800, 0.5, 0.5, "Cart"],
        [None, None, 0, 0, "Buy"],
    ]
    assert tuesday == [
        [None, 0, 1, 1, "View"],
        [2400, 2400, 1, 1, "Cart"],
        [31_800, 34_200, 1, 1, "Buy"],
    ]


@pytest.mark.parametrize(
    ("params", "monday"),
    [
        ({"length": 2}, [2, 2, 1]),
        ({"length": 1, "length_unit": "hour"}, [2, 0, 0]),
        ({"length": 2, "length_unit": "hour"}, [2, 1, 0]),
        ({"interval": 2}, [2, 2, 1]),
        ({"unit": "week"}, [2, 2, 1]),
        ({"unit": "week", "where": 'defined(properties["plan"])'}, [2, 0, 0]),
    ],
)
def test_the_length_and_the_buckets_of_a_funnel(
    sandbox: Sandbox, params: dict[str, object], monday: list[int]
) -> None:
    """Everybody counts once in a bucket, with the attempt that came furthest."""
    assert counts(funnel(sandbox, **params)[MON]["steps"]) == monday


def test_steps_after_the_last_day_count(sandbox: Sandbox) -> None:
    """What happens up to the length of the funnel later is looked at too."""
    found = funnel(sandbox, from_date=TUE)
    assert counts(found[TUE]["steps"]) == [1, 1, 1]


def test_a_funnel_by_a_property_of_its_first_step(sandbox: Sandbox) -> None:
    """Each value has its steps, `$overall` those of all; there is no analysis."""
    found = funnel(sandbox, on='properties["plan"]')
    assert {value: counts(steps) for value, steps in found[MON].items()} == {
        "$overall": [2, 1, 0],
        "pro": [1, 1, 0],
        "free": [1, 0, 0],
    }
    limited = funnel(sandbox, on='properties["plan"]', limit=1)
    assert limited[MON].keys() == {"$overall", "free"}


def test_saved_funnels_are_listed(sandbox: Sandbox) -> None:
    """By id and name alone, as a bare array."""
    assert query(sandbox, "funnels/list").json() == [{"funnel_id": 1, "name": "Sale"}]


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"funnel_id": 2}, "funnel_id 2 does not exist"),
        ({"funnel_id": "x"}, "Error in funnel_id: must be a number"),
        ({"funnel_id": ""}, "funnel_id is a required parameter"),
        ({"length": 91}, "Error in length: may not be greater than 90 days"),
        ({"unit": "hour"}, "Error in unit: must be one of day, week, month"),
    ],
)
def test_funnels_that_cannot_be(sandbox: Sandbox, params: dict[str, object], error: str) -> None:
    """They are 400."""
    reply = query(sandbox, "funnels", **{**FUNNEL, **params})
    assert (reply.status, reply.json()["error"]) == (400, error)


def retention(sandbox: Sandbox, **params: object) -> dict[str, Any]:
    """Return the cohorts of retention by their start."""
    reply = query(sandbox, "retention", **{"interval_count": 3, **BORN, **params})
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json()
    return found


def test_retention_is_a_triangle(sandbox: Sandbox) -> None:
    """Ann came back within a day, Bob in the one after; newer cohorts have fewer intervals."""
    assert retention(sandbox) == {
        MON: {"first": 2, "counts": [1, 1, 0, 0]},
        TUE: {"first": 0, "counts": [0, 0, 0, 0]},
        WED: {"first": 0, "counts": [0, 0, 0]},
        THU: {"first": 0, "counts": [0, 0]},
    }


def test_compounded_retention_is_born_again(sandbox: Sandbox) -> None:
    """In each bucket anew, by the event itself."""
    found = retention(sandbox, retention_type="compounded", born_event="ignored")
    assert found[MON] == {"first": 2, "counts": [1, 1, 0, 0]}
    assert found[TUE] == {"first": 1, "counts": [0, 0, 0, 0]}


@pytest.mark.parametrize(
    ("params", "monday"),
    [
        ({"unbounded_retention": "true"}, {"first": 2, "counts": [2, 1, 0, 0]}),
        ({"interval": 2, "interval_count": 1}, {"first": 2, "counts": [2, 0]}),
        ({"unit": "week"}, {"first": 2, "counts": [2]}),
        ({"event": "Buy"}, {"first": 2, "counts": [1, 1, 0, 0]}),
        ({"event": ""}, {"first": 2, "counts": [1, 1, 2, 2]}),
        ({"born_where": 'properties["plan"] == "free"'}, {"first": 1, "counts": [0, 1, 0, 0]}),
        ({"where": 'properties["plan"] == "pro"'}, {"first": 2, "counts": [0, 1, 0, 0]}),
        ({"interval_count": ""}, {"first": 2, "counts": [1, 1]}),
    ],
)
def test_what_counts_as_coming_back(
    sandbox: Sandbox, params: dict[str, object], monday: dict[str, Any]
) -> None:
    """The event, its filter, and intervals counted from the moment somebody came."""
    assert retention(sandbox, **params)[MON] == monday


def test_months_of_retention_are_those_of_the_calendar(sandbox: Sandbox, project: Project) -> None:
    """Whoever came on the 31st has been there a month on the last day before the next 31st."""
    tell(project, "2026-07-31 12:00", "Came", "dan")
    tell(project, "2026-08-31 11:00", "Back", "dan")
    tell(project, "2026-10-31 13:00", "Back", "dan")
    found = retention(
        sandbox,
        from_date="2026-07-01",
        to_date="2026-07-31",
        born_event="Came",
        event="Back",
        unit="month",
        interval_count=9,
    )
    assert found == {"2026-07-01": {"first": 1, "counts": [1, 0, 0, 1, 0]}}


def test_retention_by_a_property_of_the_return(sandbox: Sandbox) -> None:
    """Each value has its counts, `$overall` those of all."""
    found = retention(sandbox, on='properties["plan"]')[MON]
    assert found == {
        "$overall": {"first": 2, "counts": [1, 1, 0, 0]},
        "undefined": {"first": 2, "counts": [1, 0, 0, 0]},
        "pro": {"first": 2, "counts": [0, 1, 0, 0]},
    }


def test_a_unit_and_an_interval_exclude_each_other(sandbox: Sandbox) -> None:
    """The status is 500 and `request` an object, as was seen live."""
    asked = {**BORN, "unit": "day", "interval": 7, "interval_count": 10}
    reply = query(sandbox, "retention", **asked)
    assert reply.status == 500
    assert reply.json() == {
        "error": "unit and interval both specified",
        "request": {"unit": "day", "interval": 7, "interval_count": 10},
    }


def test_nobody_is_born_without_an_event(sandbox: Sandbox) -> None:
    """Without `born_event` the reply is empty and no error; 91 days are too many."""
    assert retention(sandbox, born_event="") == {}
    assert query(sandbox, "retention", **BORN, interval=91).status == 400


def test_frequency_counts_people_by_hours(sandbox: Sandbox) -> None:
    """Ann viewed in two hours of Monday, Bob in one."""
    asked = {"from_date": MON, "to_date": WED, "unit": "day", "event": "View"}
    found = query(sandbox, "retention/addiction", **asked, addiction_unit="hour").json()["data"]
    assert found == {MON: [2, 1] + [0] * 22, TUE: [1] + [0] * 23, WED: [0] * 24}


def test_frequency_counts_people_by_days(sandbox: Sandbox) -> None:
    """Of all events: Ann came on Monday, Thursday and Friday, Bob on all five days, Cal on one."""
    asked = {"from_date": MON, "to_date": "2026-11-20", "unit": "week", "addiction_unit": "day"}
    found = query(sandbox, "retention/addiction", **asked).json()["data"]
    assert found == {MON: [3, 2, 2, 1, 1, 0, 0]}
    viewed = {**asked, "event": "View", "on": 'properties["plan"]'}
    assert query(sandbox, "retention/addiction", **viewed).json()["data"] == {
        MON: {
            "$overall": [2, 1, 0, 0, 0, 0, 0],
            "pro": [2, 0, 0, 0, 0, 0, 0],
            "free": [1, 0, 0, 0, 0, 0, 0],
            "undefined": [1, 0, 0, 0, 0, 0, 0],
        }
    }


def test_months_have_as_many_parts_as_days(sandbox: Sandbox) -> None:
    """November has 30; without `addiction_unit` nothing is answered."""
    asked = {"from_date": "2026-11-01", "to_date": MON, "unit": "month"}
    found = query(sandbox, "retention/addiction", **asked, addiction_unit="day").json()["data"]
    assert [len(parts) for parts in found.values()] == [30]
    reply = query(sandbox, "retention/addiction", **asked)
    assert reply.json()["error"] == "addiction_unit is a required parameter"


def test_activity_is_that_of_some_people(sandbox: Sandbox) -> None:
    """Oldest first, the id under another name than in the export; days may be left out."""
    reply = query(sandbox, "stream/query", distinct_ids='["cal", "bob"]').json()
    assert reply["status"] == "ok"
    events = reply["results"]["events"]
    names = [event["event"] for event in events]
    assert names == ["View", "Cart", "View", "Cart", "Buy", "Ping", "Ping"]
    assert events[1]["properties"] == {"time": 1_794_931_200, "$distinct_id": "cal"}
    one_day = {"distinct_ids": '["bob"]', "from_date": MON, "to_date": MON}
    assert len(query(sandbox, "stream/query", **one_day).json()["results"]["events"]) == 1
    reply = query(sandbox, "stream/query", from_date=MON, to_date=MON)
    assert reply.json()["error"] == "distinct_ids is a required parameter"
