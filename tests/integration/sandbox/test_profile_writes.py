"""The sandbox's /engage and /groups, and the profiles it serves afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from mixpanel_sandbox import Fault, Project, Sandbox
from tests.support.clock import Clock
from tests.support.sandbox_writes import profiles, update


@pytest.fixture
def project() -> Project:
    """A project with a profile and a group."""
    project = Project(group_keys={"company": "-12"})
    project.add_profile("ann", {"plan": "free", "n": 1, "list": ["a", "b", "a"]})
    project.groups["-12"] = [b'{"$distinct_id":"acme","$properties":{"seats":5}}']
    return project


@pytest.fixture
def sandbox_clock() -> Clock:
    """Clock at noon."""
    return Clock()


def of_user(project: Project, distinct_id: str = "ann", **operations: Any) -> dict[str, Any]:
    """Return an update that leaves `$last_seen` and the place alone."""
    given = {f"${name}": argument for name, argument in operations.items()}
    ids = {"$token": project.token, "$distinct_id": distinct_id}
    return {**ids, "$ignore_time": True, "$ip": "0", **given}


@pytest.mark.parametrize(
    ("operation", "argument", "changed"),
    [
        ("set", {"plan": "pro", "new": None}, {"plan": "pro", "new": None}),
        ("set_once", {"plan": "pro", "new": 1}, {"new": 1}),
        ("add", {"n": -0.5, "m": 2, "plan": 3}, {"n": 0.5, "m": 2}),
        ("append", {"list": "a", "plan": 1}, {"list": ["a", "b", "a", "a"], "plan": ["free", 1]}),
        ("union", {"list": ["b", "c"], "x": [1]}, {"list": ["a", "b", "a", "c"], "x": [1]}),
        ("remove", {"list": "a", "plan": "free"}, {"list": ["b"]}),
    ],
)
def test_operations(
    sandbox: Sandbox, project: Project, operation: str, argument: Any, changed: dict[str, Any]
) -> None:
    """Each changes what the reference says, and nothing else."""
    before = profiles(sandbox)["ann"]
    assert update(sandbox, "/engage", [of_user(project, **{operation: argument})]) == {
        "error": None,
        "status": 1,
    }
    assert profiles(sandbox) == {"ann": before | changed}


def test_unset_and_delete(sandbox: Sandbox, project: Project) -> None:
    """Properties go by name, a profile as a whole; both may be gone already."""
    update(sandbox, "/engage", [of_user(project, unset=["plan", "n", "none"])])
    assert profiles(sandbox)["ann"].keys() == {"list"}
    gone = [of_user(project, name, delete="") for name in ("ann", "nobody")]
    update(sandbox, "/engage", [*gone, of_user(project, "new", set={"a": 1})])
    assert profiles(sandbox) == {"new": {"a": 1}}


def test_updates_touch_last_seen_and_the_place(sandbox: Sandbox, project: Project) -> None:
    """Unless they say otherwise, in the update or for its place in the request."""
    bare = {"$token": project.token, "$set": {"a": 1}}
    update(sandbox, "/engage", [{**bare, "$distinct_id": "b"}])
    update(sandbox, "/engage", [{**bare, "$distinct_id": "c", "$ignore_time": True}], ip=0)
    places = {"$city": "Ashburn", "$region": "Virginia", "$country_code": "US"}
    assert profiles(sandbox)["b"] == {"a": 1, "$last_seen": "2026-11-21T12:00:00", **places}
    assert profiles(sandbox)["c"] == {"a": 1}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"$token": ""}, "$token, missing or empty"),
        ({"$distinct_id": None}, "$distinct_id, missing or empty"),
        ({"$set": None}, "$set, must be a dictionary"),
        ({"$set": {}, "$unset": {}}, "$unset, must be a list"),
        ({"$set": {}, "$add": {"a": "1"}}, "$add, values must be numbers"),
        ({"$set": {}, "$union": {"a": "1"}}, "$union, values must be lists"),
    ],
)
def test_one_bad_update_refuses_the_batch(
    sandbox: Sandbox, project: Project, change: dict[str, Any], error: str
) -> None:
    """With status 200; nothing of the batch is applied."""
    good = of_user(project, set={"plan": "pro"})
    verdict = update(sandbox, "/engage", [good, {**good, **change}])
    assert verdict == {"error": error, "status": 0}
    assert profiles(sandbox)["ann"]["plan"] == "free"


def test_other_refusals(sandbox: Sandbox, project: Project) -> None:
    """No operation, too many updates, no JSON, a fault; a foreign token changes nothing."""
    good = of_user(project, set={"plan": "pro"})
    del good["$set"]
    assert update(sandbox, "/engage", [good])["error"].startswith("no operation")
    good = of_user(project, set={"plan": "pro"})
    assert update(sandbox, "/engage", [good] * 2001)["status"] == 0
    assert update(sandbox, "/engage", [], body=b"{")["error"] == "invalid JSON"
    sandbox.inject(Fault("status_0"))
    assert update(sandbox, "/engage", [good])["status"] == 0
    assert update(sandbox, "/engage", [{**good, "$token": "0" * 32}])["status"] == 1
    assert profiles(sandbox)["ann"]["plan"] == "free"
    assert update(sandbox, "/engage", [good])["status"] == 1
    assert profiles(sandbox)["ann"]["plan"] == "pro"


def test_groups(sandbox: Sandbox, project: Project) -> None:
    """A group is found by its key and id; /groups has no `$add` and no `$append`."""

    def change(group_id: str, key: str = "company", **operations: Any) -> dict[str, Any]:
        ids = {"$token": project.token, "$group_key": key, "$group_id": group_id}
        return {**ids, **{f"${name}": argument for name, argument in operations.items()}}

    batch = [
        change("acme", set_once={"seats": 9, "city": "Bern"}),
        change("blå", set={"seats": 1}),
        change("acme", union={"tags": ["a", "a", "b"]}),
        change("Bern", key="city", set={"a": 1}),
    ]
    assert update(sandbox, "/groups", batch)["status"] == 1
    assert profiles(sandbox, data_group_id="-12") == {
        "acme": {"seats": 5, "city": "Bern", "tags": ["a", "b"]},
        "blå": {"seats": 1},
    }
    assert profiles(sandbox, data_group_id=project.group_keys["city"]) == {"Bern": {"a": 1}}
    assert update(sandbox, "/groups", [change("acme", add={"seats": 1})])["status"] == 0
    assert update(sandbox, "/groups", [change("acme", delete="")])["status"] == 1
    assert profiles(sandbox, data_group_id="-12").keys() == {"blå"}
    assert profiles(sandbox).keys() == {"ann"}
