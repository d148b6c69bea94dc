"""Profiles and cohorts of the sandbox behave as documented, or as measured."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from mixpanel_sandbox import Project, Sandbox
from tests.integration.sandbox_calls import ask, engage, serve, small_project


@pytest.fixture
def project() -> Project:
    """Return the project a test may change."""
    return small_project()


@pytest.fixture
def sandbox(project: Project) -> Iterator[Sandbox]:
    """Run a sandbox on the project."""
    with serve(project) as running:
        yield running


def ids(reply: dict[str, list[dict[str, object]]]) -> list[object]:
    """Return the distinct ids of a page of profiles."""
    return [profile["$distinct_id"] for profile in reply["results"]]


def test_pages_of_a_session_are_one_snapshot(sandbox: Sandbox, project: Project) -> None:
    """Pages follow the first one's data, and past the end there is an empty page."""
    first = engage(sandbox, page_size=2).json()
    assert (first["total"], first["page_size"], first["status"]) == (5, 2, "ok")
    assert first["computed_at"] == "2026-11-20T12:00:00.000000+00:00"
    project.profiles.clear()
    session = {"session_id": first["session_id"], "page_size": 2}
    pages = [engage(sandbox, page=page, **session).json() for page in (1, 2, 3)]
    assert [ids(page) for page in [first, *pages]] == [["u0", "u1"], ["u2", "u3"], ["u4"], []]
    assert all("total" not in page and "page_size" not in page for page in pages)


def test_total_can_be_on_every_page(project: Project) -> None:
    """The other form seen in the wild is a switch, as is the size of pages."""
    with Sandbox(project, page_size=3, total_on_every_page=True) as sandbox:
        first = engage(sandbox).json()
        second = engage(sandbox, session_id=first["session_id"], page=1).json()
    assert (second["total"], second["page_size"], ids(second)) == (5, 3, ["u3", "u4"])


def test_a_page_needs_the_session_of_its_query(sandbox: Sandbox) -> None:
    """Without a session, with another's parameters or an expired one, a page is a 400."""
    session_id = engage(sandbox, page_size=2).json()["session_id"]
    unknown = [
        engage(sandbox, page=1, page_size=2),
        engage(sandbox, page=1, page_size=2, session_id="other"),
        engage(sandbox, page=1, page_size=3, session_id=session_id),
    ]
    sandbox.expire_sessions()
    unknown.append(engage(sandbox, page=1, page_size=2, session_id=session_id))
    assert [reply.status for reply in unknown] == [400] * 4
    error = "request for page in uncached query for params"
    assert all(reply.json()["error"].startswith(error) for reply in unknown)


def test_page_size_has_a_maximum(sandbox: Sandbox) -> None:
    """More than 10000 a page is answered with 10000; the reply says so."""
    assert engage(sandbox, page_size=50_000).json()["page_size"] == 10_000


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"where": 'properties["plan"] == "pro"'}, ["u1", "u3"]),
        ({"distinct_id": "u2"}, ["u2"]),
        ({"distinct_ids": '["u1","u4","none"]'}, ["u1", "u4"]),
        ({"data_group_id": "-12"}, [7]),
        ({"data_group_id": "0"}, []),
        ({"filter_by_cohort": '{"id":1}'}, ["u0", "u4", "stranger"]),
        ({"filter_by_cohort": '{"id":1}', "include_all_users": "false"}, ["u0", "u4"]),
        ({"filter_by_cohort": '{"id":2}'}, []),
    ],
)
def test_profiles_are_filtered(
    sandbox: Sandbox, params: dict[str, object], expected: list[object]
) -> None:
    """Each parameter picks the profiles it should."""
    assert ids(engage(sandbox, **params).json()) == expected


@pytest.mark.parametrize(
    "params",
    [
        {"where": "properties["},
        {"where": 'properties["plan"]'},
        {"page": "-1"},
        {"filter_by_cohort": "1"},
        {"filter_by_cohort": '{"id":99}'},
        {"filter_by_cohort": '{"id":1}', "behaviors": "[]"},
    ],
)
def test_engage_refuses_wrong_parameters(sandbox: Sandbox, params: dict[str, object]) -> None:
    """A parameter that cannot be meant is a 400."""
    assert engage(sandbox, **params).status == 400


@pytest.mark.parametrize(
    "body",
    [
        '{"output_properties": ["plan"], "distinct_id": "u1"}',
        urlencode({"output_properties": '["plan"]', "distinct_id": "u1"}),
        "output_properties=plan&distinct_id=u1",
        "output_properties=plan&output_properties=none&distinct_id=u1",
    ],
)
def test_bodies_are_json_or_forms(sandbox: Sandbox, body: str) -> None:
    """JSON is tried first, whatever the content type says."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = ask(sandbox, "/api/2.0/engage", method="POST", body=body, headers=headers)
    assert reply.json()["results"] == [{"$distinct_id": "u1", "$properties": {"plan": "pro"}}]


def test_large_queries_by_behavior_need_a_moment(sandbox: Sandbox, project: Project) -> None:
    """More than 1000 profiles by behaviors cannot be paged without as_of_timestamp."""
    project.profiles *= 201
    asked = {"behaviors": "[]", "page_size": 1000}
    for moment, status in (({}, 400), ({"as_of_timestamp": 1}, 200)):
        session_id = engage(sandbox, **asked, **moment).json()["session_id"]
        second = engage(sandbox, **asked, **moment, session_id=session_id, page=1)
        assert second.status == status


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/api/query/cohorts/list", "/api/2.0/cohorts/list"])
def test_cohorts_are_a_bare_array(
    sandbox: Sandbox, project: Project, path: str, method: str
) -> None:
    """Both paths and both methods give the list as it is."""
    assert ask(sandbox, path, method=method).json() == project.cohorts
