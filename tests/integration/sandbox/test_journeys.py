"""Funnels, retention, frequency and activity, compared with results computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from mixpanel_sandbox import Project, Sandbox
from tests.integration.sandbox.projects import add_event, report_project
from tests.support.sandbox_calls import query

MON, TUE, WED, THU = "2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19"
FUNNEL = {"funnel_id": 1, "from_date": MON, "to_date": TUE}
RETENTION = {"from_date": MON, "to_date": THU, "born_event": "View", "event": "View"}


@pytest.fixture
def project() -> Project:
    """The project, which the test may change."""
    return report_project()


def funnel(sandbox: Sandbox, **params: object) -> dict[str, Any]:
    """Query the funnel and return its buckets by start date."""
    response = query(sandbox, "funnels", **{**FUNNEL, **params})
    assert response.status == 200, response.body
    data: dict[str, Any] = response.json()["data"]
    assert sorted(data) == response.json()["meta"]["dates"]
    return data


def counts(steps: list[dict[str, Any]]) -> list[int]:
    """Return the number of users who completed each step."""
    return [step["count"] for step in steps]


def test_funnel_steps_are_ordered(sandbox: Sandbox) -> None:
    """Ann bought before adding to the cart, Cal did not view first, Bob completed all steps."""
    result = funnel(sandbox)
    assert {day: counts(bucket["steps"]) for day, bucket in result.items()} == {
        MON: [2, 1, 0],
        TUE: [1, 1, 1],
    }
    assert result[MON]["analysis"] == {
        "completion": 0,
        "starting_amount": 2,
        "steps": 3,
        "worst": 2,
    }


def test_funnel_times_and_ratios(sandbox: Sandbox) -> None:
    """Times and conversion are relative to the previous and to the first step."""
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
def test_funnel_length_and_buckets(
    sandbox: Sandbox, params: dict[str, object], monday: list[int]
) -> None:
    """A user counts once per bucket, with the attempt that completed the most steps."""
    assert counts(funnel(sandbox, **params)[MON]["steps"]) == monday


def test_funnel_steps_after_the_last_day(sandbox: Sandbox) -> None:
    """Later steps may happen after `to_date`, within the length of the funnel."""
    result = funnel(sandbox, from_date=TUE)
    assert counts(result[TUE]["steps"]) == [1, 1, 1]


def test_funnel_by_a_property_of_the_first_step(sandbox: Sandbox) -> None:
    """Each value has its own steps, `$overall` all; there is no analysis."""
    result = funnel(sandbox, on='properties["plan"]')
    assert {value: counts(steps) for value, steps in result[MON].items()} == {
        "$overall": [2, 1, 0],
        "pro": [1, 1, 0],
        "free": [1, 0, 0],
    }
    limited = funnel(sandbox, on='properties["plan"]', limit=1)
    assert limited[MON].keys() == {"$overall", "free"}


def test_funnel_with_saved_breakdowns(sandbox: Sandbox, project: Project) -> None:
    """Each is a level of nesting, with `$overall` beside its values; `on` takes their place."""
    project.funnels[0]["on"] = ["plan", "tags"]
    monday = funnel(sandbox)[MON]
    assert counts(monday["$overall"]) == [2, 1, 0]
    assert set(monday) == {"$overall", "pro", "free"}
    assert {value: counts(steps) for value, steps in monday["pro"].items()} == {
        "$overall": [1, 1, 0],
        "a": [1, 1, 0],
        "b": [1, 1, 0],
    }
    assert set(funnel(sandbox, on='properties["tags"]')[MON]) == {"$overall", "a", "b", "undefined"}


def test_list_of_funnels(sandbox: Sandbox) -> None:
    """Saved funnels are listed by id and name, as a bare array."""
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
def test_invalid_funnel_parameters(sandbox: Sandbox, params: dict[str, object], error: str) -> None:
    """Each is a 400."""
    response = query(sandbox, "funnels", **{**FUNNEL, **params})
    assert (response.status, response.json()["error"]) == (400, error)


def retention(sandbox: Sandbox, **params: object) -> dict[str, Any]:
    """Query retention and return its cohorts by start date."""
    response = query(sandbox, "retention", **{"interval_count": 3, **RETENTION, **params})
    assert response.status == 200, response.body
    result: dict[str, Any] = response.json()
    return result


def test_retention_is_a_triangle(sandbox: Sandbox) -> None:
    """Ann came back within a day, Bob a day later; newer cohorts have fewer intervals."""
    assert retention(sandbox) == {
        MON: {"first": 2, "counts": [1, 1, 0, 0]},
        TUE: {"first": 0, "counts": [0, 0, 0, 0]},
        WED: {"first": 0, "counts": [0, 0, 0]},
        THU: {"first": 0, "counts": [0, 0]},
    }


def test_compounded_retention(sandbox: Sandbox) -> None:
    """Users enter a cohort in every bucket, by the event itself."""
    result = retention(sandbox, retention_type="compounded", born_event="ignored")
    assert result[MON] == {"first": 2, "counts": [1, 1, 0, 0]}
    assert result[TUE] == {"first": 1, "counts": [0, 0, 0, 0]}


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
def test_retention_parameters(
    sandbox: Sandbox, params: dict[str, object], monday: dict[str, Any]
) -> None:
    """Events and filters of both kinds, and the length and number of intervals."""
    assert retention(sandbox, **params)[MON] == monday


def test_retention_by_calendar_months(sandbox: Sandbox, project: Project) -> None:
    """The first month after July 31 ends at the same time of day on August 31."""
    add_event(project, "2026-07-31 12:00", "Came", "dan")
    add_event(project, "2026-08-31 11:00", "Back", "dan")
    add_event(project, "2026-10-31 13:00", "Back", "dan")
    result = retention(
        sandbox,
        from_date="2026-07-01",
        to_date="2026-07-31",
        born_event="Came",
        event="Back",
        unit="month",
        interval_count=9,
    )
    assert result == {"2026-07-01": {"first": 1, "counts": [1, 0, 0, 1, 0]}}


def test_retention_by_a_property_of_the_returning_event(sandbox: Sandbox) -> None:
    """Each value has its own counts, `$overall` all."""
    result = retention(sandbox, on='properties["plan"]')[MON]
    assert result == {
        "$overall": {"first": 2, "counts": [1, 1, 0, 0]},
        "undefined": {"first": 2, "counts": [1, 0, 0, 0]},
        "pro": {"first": 2, "counts": [0, 1, 0, 0]},
    }


def test_retention_with_unit_and_interval(sandbox: Sandbox) -> None:
    """Both together are a 500 with `request` as an object, as observed."""
    params = {**RETENTION, "unit": "day", "interval": 7, "interval_count": 10}
    response = query(sandbox, "retention", **params)
    assert response.status == 500
    assert response.json() == {
        "error": "unit and interval both specified",
        "request": {"unit": "day", "interval": 7, "interval_count": 10},
    }


def test_retention_without_born_event(sandbox: Sandbox) -> None:
    """Without `born_event` the result is empty; an interval above 90 days is a 400."""
    assert retention(sandbox, born_event="") == {}
    assert query(sandbox, "retention", **RETENTION, interval=91).status == 400


def test_frequency_by_hours(sandbox: Sandbox) -> None:
    """On Monday Ann viewed in two hours, Bob in one."""
    params = {"from_date": MON, "to_date": WED, "unit": "day", "event": "View"}
    result = query(sandbox, "retention/addiction", **params, addiction_unit="hour").json()["data"]
    assert result == {MON: [2, 1] + [0] * 22, TUE: [1] + [0] * 23, WED: [0] * 24}


def test_frequency_by_days(sandbox: Sandbox) -> None:
    """Ann was active on Monday, Thursday and Friday, Bob on all five days, Cal on one."""
    params = {"from_date": MON, "to_date": "2026-11-20", "unit": "week", "addiction_unit": "day"}
    result = query(sandbox, "retention/addiction", **params).json()["data"]
    assert result == {MON: [3, 2, 2, 1, 1, 0, 0]}
    viewed = {**params, "event": "View", "on": 'properties["plan"]'}
    assert query(sandbox, "retention/addiction", **viewed).json()["data"] == {
        MON: {
            "$overall": [2, 1, 0, 0, 0, 0, 0],
            "pro": [2, 0, 0, 0, 0, 0, 0],
            "free": [1, 0, 0, 0, 0, 0, 0],
            "undefined": [1, 0, 0, 0, 0, 0, 0],
        }
    }


def test_frequency_by_months(sandbox: Sandbox) -> None:
    """November has 30 days; `addiction_unit` is required."""
    params = {"from_date": "2026-11-01", "to_date": MON, "unit": "month"}
    result = query(sandbox, "retention/addiction", **params, addiction_unit="day").json()["data"]
    assert [len(users) for users in result.values()] == [30]
    response = query(sandbox, "retention/addiction", **params)
    assert response.json()["error"] == "addiction_unit is a required parameter"


def test_activity_of_some_users(sandbox: Sandbox) -> None:
    """Events are ordered by time and have `$distinct_id`; dates are optional."""
    response = query(sandbox, "stream/query", distinct_ids='["cal", "bob"]').json()
    assert response["status"] == "ok"
    events = response["results"]["events"]
    names = [event["event"] for event in events]
    assert names == ["View", "Cart", "View", "Cart", "Buy", "Ping", "Ping"]
    assert events[1]["properties"] == {"time": 1_794_931_200, "$distinct_id": "cal"}
    one_day = {"distinct_ids": '["bob"]', "from_date": MON, "to_date": MON}
    assert len(query(sandbox, "stream/query", **one_day).json()["results"]["events"]) == 1
    response = query(sandbox, "stream/query", from_date=MON, to_date=MON)
    assert response.json()["error"] == "distinct_ids is a required parameter"
