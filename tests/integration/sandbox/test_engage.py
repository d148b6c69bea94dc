"""Profiles and cohorts of the sandbox behave as documented or observed."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from mixpanel_sandbox import Project, Sandbox
from tests.support.sandbox_calls import engage, send


def ids(response: dict[str, list[dict[str, object]]]) -> list[object]:
    """Return the distinct ids of a page of profiles."""
    return [profile["$distinct_id"] for profile in response["results"]]


def test_session_is_a_snapshot(sandbox: Sandbox, project: Project) -> None:
    """All pages show the data of the first request; pages past the end are empty."""
    first = engage(sandbox, page_size=2).json()
    assert (first["total"], first["page_size"], first["status"]) == (5, 2, "ok")
    assert first["computed_at"] == "2026-11-20T12:00:00.000000+00:00"
    project.profiles.clear()
    session = {"session_id": first["session_id"], "page_size": 2}
    pages = [engage(sandbox, page=page, **session).json() for page in (1, 2, 3)]
    assert [ids(page) for page in [first, *pages]] == [["u0", "u1"], ["u2", "u3"], ["u4"], []]
    assert all("total" not in page and "page_size" not in page for page in pages)


def test_total_can_be_on_every_page(project: Project) -> None:
    """`total` on every page, as also observed, and the default page size can be set."""
    with Sandbox(project, page_size=3, total_on_every_page=True) as sandbox:
        first = engage(sandbox).json()
        second = engage(sandbox, session_id=first["session_id"], page=1).json()
    assert (second["total"], second["page_size"], ids(second)) == (5, 3, ["u3", "u4"])


def test_later_pages_need_a_valid_session(sandbox: Sandbox) -> None:
    """Without a session, with other parameters or an expired session, a page is a 400."""
    session_id = engage(sandbox, page_size=2).json()["session_id"]
    unknown = [
        engage(sandbox, page=1, page_size=2),
        engage(sandbox, page=1, page_size=2, session_id="other"),
        engage(sandbox, page=1, page_size=3, session_id=session_id),
    ]
    sandbox.expire_sessions()
    unknown.append(engage(sandbox, page=1, page_size=2, session_id=session_id))
    assert [response.status for response in unknown] == [400] * 4
    error = "request for page in uncached query for params"
    assert all(response.json()["error"].startswith(error) for response in unknown)


def test_page_size_has_a_maximum(sandbox: Sandbox) -> None:
    """Larger page sizes are reduced to 10,000, which the response reports."""
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
    """Each filter selects the right profiles."""
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
def test_invalid_parameters(sandbox: Sandbox, params: dict[str, object]) -> None:
    """An invalid parameter is a 400."""
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
def test_body_is_json_or_a_form(sandbox: Sandbox, body: str) -> None:
    """JSON is tried first, regardless of the content type."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = send(sandbox, "/api/2.0/engage", method="POST", body=body, headers=headers)
    assert response.json()["results"] == [{"$distinct_id": "u1", "$properties": {"plan": "pro"}}]


def test_large_behavior_queries_need_a_timestamp(sandbox: Sandbox, project: Project) -> None:
    """More than 1,000 profiles by behaviors cannot be paged without `as_of_timestamp`."""
    project.profiles *= 201
    params = {"behaviors": "[]", "page_size": 1000}
    for timestamp, status in (({}, 400), ({"as_of_timestamp": 1}, 200)):
        session_id = engage(sandbox, **params, **timestamp).json()["session_id"]
        second = engage(sandbox, **params, **timestamp, session_id=session_id, page=1)
        assert second.status == status


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/api/query/cohorts/list", "/api/2.0/cohorts/list"])
def test_cohorts_are_a_bare_array(
    sandbox: Sandbox, project: Project, path: str, method: str
) -> None:
    """Both paths and both methods return the stored list."""
    assert send(sandbox, path, method=method).json() == project.cohorts
