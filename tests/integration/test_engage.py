"""Profiles: all of one moment or the table stays as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mixpanel_sandbox import Fault, Project
from mixpanel_source.errors import TruncatedError
from mixpanel_source.tables.package import TablePart
from tests.support.lab import Lab, open_lab


def make_profiles(count: int) -> Project:
    """A project of nothing but profiles."""
    project = Project()
    for number in range(count):
        project.add_profile(f"u{number}", {"$name": f"Name {number}", "points": number})
    return project


@pytest.fixture
def paged() -> Iterator[Lab]:
    """Seven profiles, three a page."""
    with open_lab(make_profiles(7), page_size=3) as lab:
        yield lab


def pages(lab: Lab) -> list[str]:
    """The pages asked for since the last job began."""
    return [record.params.get("page", "0") for record in lab.requests_for("engage")]


def test_page_size_is_the_servers(paged: Lab) -> None:
    """Unless set, the size of a page is what the first reply says, and only that page says it."""
    report = paged.sync("engage")
    assert pages(paged) == ["0", "1", "2"]
    first, second = paged.requests_for("engage")[:2]
    assert "page_size" not in first.params
    assert "session_id" not in first.params
    assert second.params["session_id"]
    assert report.rows == {"engage": 7}
    paged.assert_profiles_kept()


def test_page_size_that_is_set_is_asked_for(paged: Lab) -> None:
    """`engage_page_size` goes with every page."""
    paged.sync("engage", engage_page_size=2)
    assert [record.params["page_size"] for record in paged.requests_for("engage")] == ["2"] * 4
    paged.assert_profiles_kept()


@pytest.mark.parametrize(("profiles", "requests"), [(2, 1), (3, 1), (4, 2), (6, 2)])
def test_no_page_is_asked_for_in_vain(profiles: int, requests: int) -> None:
    """A last page that is full is known for the last one by the total."""
    with open_lab(make_profiles(profiles), page_size=3) as lab:
        lab.sync("engage")
        assert len(pages(lab)) == requests
        lab.assert_profiles_kept()


def test_total_on_every_page_is_understood() -> None:
    """Replies that repeat total and page size are read like those that do not."""
    with open_lab(make_profiles(7), page_size=3, total_on_every_page=True) as lab:
        lab.sync("engage")
        assert pages(lab) == ["0", "1", "2"]
        lab.assert_profiles_kept()


def test_expired_session_starts_over(paged: Lab) -> None:
    """If Mixpanel has forgotten the session, all pages are asked for again, from the first."""
    paged.sandbox.inject(Fault("expired_session", page=2))
    assert paged.sync("engage").failures == {}
    assert pages(paged) == ["0", "1", "2", "0", "1", "2"]
    paged.assert_profiles_kept()


def test_pages_that_fail_are_tried_again(paged: Lab) -> None:
    """A page that fails is asked for again, the pages before it are not."""
    faults = ("500", "unterminated", "429_bare", "timeout")
    paged.sandbox.inject(*(Fault(name, page=1) for name in faults))
    report = paged.sync("engage")
    assert report.failures == {}
    assert pages(paged) == ["0", "1", "1", "1", "1", "1", "2"]
    assert [window.requests for window in report.windows] == [7]
    paged.assert_profiles_kept()


@pytest.mark.parametrize("page", [0, pytest.param(1, marks=pytest.mark.slow), 2])
def test_wrong_total_is_refused(paged: Lab, page: int) -> None:
    """Fewer profiles than announced are not taken for all: the table stays as it was."""
    paged.sync("engage")
    served = list(paged.project.profiles)
    paged.project.add_profile("u7", {})
    paged.project.add_profile("u8", {})
    paged.sandbox.inject(Fault("short_page", page=page, times=6))
    report = paged.sync("engage")
    assert isinstance(report.failures[TablePart("engage")], TruncatedError)
    assert "9 profiles were announced" in str(report.failures[TablePart("engage")])
    now, paged.project.profiles[:] = list(paged.project.profiles), served
    paged.assert_profiles_kept()
    paged.project.profiles[:] = now
    assert paged.sync("engage").failures == {}
    paged.assert_profiles_kept()


def test_profiles_that_went_are_gone(any_lab: Lab) -> None:
    """Profiles deleted, changed and added between two syncs are as now; without any, none is."""
    any_lab.sync("engage")
    any_lab.project.profiles[:] = any_lab.project.profiles[2:]
    any_lab.project.profiles[0] = any_lab.project.profiles[0].replace(b'"pro"', b'"free"')
    any_lab.project.add_profile("new", {"$name": "New", "score": 1.5})
    any_lab.sync("engage")
    any_lab.assert_profiles_kept()
    any_lab.project.profiles.clear()
    report = any_lab.sync("engage")
    assert report.failures == {}
    assert any_lab.rows("engage") == []


def test_project_that_never_had_profiles(any_lab: Lab) -> None:
    """No profiles are an empty table, from the first sync on."""
    any_lab.project.profiles.clear()
    assert any_lab.sync("engage").failures == {}
    assert pages(any_lab) == ["0"]
    assert any_lab.rows("engage") == []


def test_ids_may_be_numbers(lab: Lab) -> None:
    """Ids that are served as numbers are text, as the others are."""
    lab.project.profiles[:] = [
        b'{"$distinct_id":7,"$properties":{"a":1}}',
        b'{"$distinct_id":-12345678901234567890,"$properties":{"a":2}}',
        b'{"$distinct_id":"x","$properties":{"a":3}}',
    ]
    lab.sync("engage")
    found = {row["distinct_id"]: row["a"] for row in lab.rows("engage")}
    assert found == {"7": 1, "-12345678901234567890": 2, "x": 3}


def test_profile_served_twice_is_one(paged: Lab) -> None:
    """Of the profiles with one id the one seen last is kept, and that is said."""
    paged.project.profiles.insert(0, b'{"$distinct_id":"u3","$properties":{"points":-1}}')
    report = paged.sync("engage")
    assert [window.duplicates_dropped for window in report.windows] == [1]
    assert report.rows == {"engage": 7}
    assert {row["distinct_id"]: row["points"] for row in paged.rows("engage")}["u3"] == 3


def test_profile_without_properties(lab: Lab) -> None:
    """A profile with nothing on it is a row all the same."""
    lab.project.profiles[:] = [b'{"$distinct_id":"bare","$properties":{}}']
    lab.sync("engage")
    assert [row["distinct_id"] for row in lab.rows("engage")] == ["bare"]


def test_profiles_of_a_crash_are_not_fetched_again(paged: Lab) -> None:
    """A dump that was complete when the process died is loaded as it is, within the hour."""
    paged.sync("engage")
    paged.project.add_profile("late", {"points": 99})
    paged.leave_pending_package("engage")
    paged.sync("engage")
    assert pages(paged) == []
    paged.assert_profiles_kept()
    paged.leave_pending_package("engage")
    paged.project.add_profile("later", {"points": 100})
    paged.clock.advance(seconds=3601)
    paged.sync("engage")
    assert pages(paged) == ["0", "1", "2"]
    paged.assert_profiles_kept()
