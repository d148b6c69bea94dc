"""Members of cohorts: who is in, who was, and from when to when."""

from __future__ import annotations

from typing import Any

from mixpanel_sandbox import Fault
from mixpanel_source.errors import PlanError, RequestError
from mixpanel_source.tables.package import TablePart
from tests.support.lab import Lab


def add_cohort(lab: Lab, number: int, *members: str) -> None:
    """A cohort of the project, with its members."""
    lab.project.cohorts.append({"id": number, "project_id": 1234567, "name": f"Cohort {number}"})
    lab.project.cohort_members[number] = [*members]


def current(lab: Lab) -> set[tuple[int, str]]:
    """Who is in which cohort now."""
    return {
        (row["cohort_id"], row["distinct_id"])
        for row in lab.rows("cohort_members")
        if row["_dlt_valid_to"] is None
    }


def served(lab: Lab) -> set[tuple[int, str]]:
    """Who is in which cohort, as the sandbox has it."""
    members = lab.project.cohort_members.items()
    return {(cohort, member) for cohort, ids in members for member in ids}


def test_members_have_a_history(any_lab: Lab) -> None:
    """Who left is closed, who came is open, who comes back has two rows, who stayed has one."""
    any_lab.project.cohorts.clear()
    add_cohort(any_lab, 1, "u0", "u1", "u2")
    add_cohort(any_lab, 2, "u0")
    assert any_lab.sync("cohort_members").failures == {}
    assert current(any_lab) == served(any_lab)
    any_lab.project.cohort_members[1] = ["u1", "u3"]
    any_lab.sync("cohort_members")
    assert current(any_lab) == served(any_lab)
    any_lab.project.cohort_members[1] = ["u0", "u1", "u3"]
    any_lab.sync("cohort_members")
    assert current(any_lab) == served(any_lab)
    rows = any_lab.rows("cohort_members")
    times = {key: sum(row["member_key"] == key for row in rows) for key in ("1:u0", "1:u1", "1:u2")}
    assert times == {"1:u0": 2, "1:u1": 1, "1:u2": 1}


def test_emptied_and_deleted_cohorts_lose_their_members(any_lab: Lab) -> None:
    """A cohort without members, and one that is no longer listed, have none that is current."""
    any_lab.project.cohorts.clear()
    for number in (1, 2, 3):
        add_cohort(any_lab, number, "u0", "u1")
    any_lab.sync("cohort_members")
    any_lab.project.cohort_members[1] = []
    del any_lab.project.cohorts[1]
    del any_lab.project.cohort_members[2]
    report = any_lab.sync("cohort_members")
    assert report.failures == {}
    assert current(any_lab) == served(any_lab) == {(3, "u0"), (3, "u1")}
    assert all(row["distinct_id"] for row in any_lab.rows("cohort_members"))


def test_broken_cohort_stops_no_other(lab: Lab) -> None:
    """A cohort that Mixpanel refuses is told, keeps what it had, and the others are loaded."""
    lab.project.cohorts.clear()
    add_cohort(lab, 1, "u0")
    add_cohort(lab, 2, "u1")
    add_cohort(lab, 3, "u2")
    lab.sync("cohort_members")
    lab.project.cohort_members.update({1: ["u3"], 2: ["u3"], 3: ["u3"]})
    report = lab.sync("cohort_members", cohort_ids=[1, 99, 3])
    assert list(report.failures) == [TablePart("cohort_members", "99")]
    assert isinstance(report.failures[TablePart("cohort_members", "99")], RequestError)
    assert current(lab) == {(1, "u3"), (2, "u1"), (3, "u3")}


def test_asks_for_little_and_for_members_alone(lab: Lab) -> None:
    """The cohort list, then a request a cohort: no strangers, no properties to speak of."""
    add_cohort(lab, 2, "u0", "no-profile")
    lab.project.cohort_members[1] = []
    report = lab.sync("cohort_members")
    listed, *asked = lab.sandbox.requests
    assert listed.path.endswith("/cohorts/list")
    assert report.requests == 3
    for record in asked:
        assert record.params["include_all_users"] == "false"
        assert record.params["output_properties"] == '["$last_seen"]'
    assert current(lab) == {(2, "u0")}
    lab.sync("cohort_members", cohort_ids="2")
    assert [record.path for record in lab.sandbox.requests] == ["/api/query/engage"]


def test_loads_tell_the_cohort(lab: Lab) -> None:
    """A row of `_mixpanel_loads` says which cohort it was."""
    lab.project.cohort_members[1] = ["u0", "u1"]
    lab.sync("cohort_members")
    (row,) = (row for row in lab.rows("_mixpanel_loads") if row["table_name"] == "cohort_members")
    assert (row["part"], row["rows"]) == ("1", 2)


def test_crash_changes_nothing(any_lab: Lab) -> None:
    """A package that a crash left behind is not loaded twice."""
    any_lab.project.cohort_members[1] = ["u0", "u1"]
    any_lab.leave_pending_package("cohort_members")
    any_lab.sync("cohort_members")
    any_lab.leave_pending_package("cohort_members")
    any_lab.sync("cohort_members")
    rows: list[Any] = any_lab.rows("cohort_members")
    assert sorted(row["member_key"] for row in rows) == ["1:u0", "1:u1"]


def test_pages_of_a_cohort_that_fail_are_tried_again(lab: Lab) -> None:
    """A session that expires is begun again, as with all profiles."""
    lab.project.cohort_members[1] = [f"u{number}" for number in range(5)]
    lab.sandbox.inject(Fault("expired_session", page=1))
    assert lab.sync("cohort_members", engage_page_size=2).failures == {}
    assert current(lab) == served(lab)


def test_plan_without_cohorts_fails_as_a_table(lab: Lab) -> None:
    """On a free plan the table is not available; that is one failure and not one a cohort."""
    lab.project.plan = "free"
    report = lab.sync("cohort_members", "export")
    assert [type(error) for error in report.failures.values()] == [PlanError]
    lab.assert_events_kept()
