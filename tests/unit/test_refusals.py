"""What a refusal means, and what is said of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.api.error_mapping import error_from_refusal
from mixpanel_source.api.redaction import MAX_QUOTED_CHARACTERS
from mixpanel_source.api.request import Request
from mixpanel_source.catalog.endpoints import endpoint
from mixpanel_source.config.build import build_config
from mixpanel_source.config.model import Config
from mixpanel_source.errors import (
    AccessError,
    AuthError,
    MixpanelError,
    PlanError,
    RateLimitedError,
    RequestError,
    ServerError,
)
from mixpanel_source.windows import Window

SECRET = "hunter2-XyZ"
USERNAME = "robot.1a2b.mp-service-account"
WHERE = 'properties["credential_secret"] == "a@b.example"'
EXPORT = Request(endpoint("export"), "export", window=Window(date(2026, 1, 31), date(2026, 1, 31)))


def config(**given: Any) -> Config:
    """The settings a request was made with."""
    return build_config({"username": USERNAME, "secret": SECRET, "project_id": 424242, **given})


def refuse(status: int, text: str, **given: Any) -> MixpanelError:
    """The error for a reply to an export."""
    return error_from_refusal(status, text, request=EXPORT, config=config(**given))


@pytest.mark.parametrize(
    ("status", "text", "kind", "words"),
    [
        (400, "to_date cannot be later than today", RequestError, "Check project_timezone"),
        (
            400,
            "from_date cannot be later than to_date",
            RequestError,
            "Check anchor_date and range",
        ),
        (400, "Error in from_date: invalid date, bad year", RequestError, "Check anchor_date"),
        (400, "Error in event: must be a JSON array", RequestError, "Check events"),
        (400, "Error in limit: must be between 1 and 100000", RequestError, "Check limit"),
        (400, "Error in page_size: must be a number", RequestError, "Check engage_page_size"),
        (400, "Invalid expression: unexpected )", RequestError, "Check where"),
        (400, "failed to parse selector", RequestError, "Check where"),
        (400, "something new", RequestError, "something new"),
        (400, "bad name, see https://mixpanel.com/authentication", RequestError, '"bad name, see"'),
        (400, "", RequestError, "status 400."),
        (400, "Timeout Error.", ServerError, "Timeout Error"),
        (400, "Query timed out", ServerError, "timed out"),
        (408, "request timeout", ServerError, "status 408"),
        (400, "Unable to authenticate request", AuthError, "Check username and secret"),
        (400, "not authenticated", AuthError, "Check username and secret"),
        (400, "invalid project id for cluster", AuthError, "Check project_id (424242)"),
        (
            400,
            "Mismatch between project secret's project ID and URL project ID",
            AuthError,
            "424242",
        ),
        (400, "project_id is a required parameter", AuthError, "Check project_id"),
        (401, "Invalid credentials", AuthError, "Check username and secret"),
        (401, "Not a valid service account username", AuthError, "Check username and secret"),
        (401, "Unauthorized, invalid project secret. See docs", AuthError, "username and secret"),
        (401, "not a project member", AuthError, "must be a member"),
        (401, "", AuthError, "Check username and secret"),
        (402, "Your plan does not allow API calls.", PlanError, "leave the table export out"),
        (402, "", PlanError, "upgrade the plan"),
        (403, "Date range exceeds 90 days into the past", AccessError, "request newer days"),
        (403, "the service account may not read this", AccessError, "role in project_id 424242"),
        (403, "", AccessError, "Give the service account a role"),
        (403, "not a project member", AuthError, "must be a member"),
        (404, "Invalid API endpoint", RequestError, "Check region and the base_url settings"),
        (301, "", RequestError, "Check region and the base_url settings"),
        (412, "whatever", RequestError, "status 412"),
        (413, "", RequestError, "status 413"),
        (422, "unprocessable", RequestError, "unprocessable"),
        (429, "too many export requests in progress", RateLimitedError, "too many requests"),
        (500, "An internal error occurred", ServerError, "status 500"),
        (502, "an HTML page", ServerError, "an HTML page"),
        (503, "", ServerError, "status 503."),
        (504, "Unable to authenticate request", ServerError, "status 504"),
        (520, "", ServerError, "status 520"),
    ],
)
def test_refusal(status: int, text: str, kind: type[MixpanelError], words: str) -> None:
    """The kind decides what the run does next; the words say what was asked and what to do."""
    error = refuse(status, text)
    assert type(error) is kind
    assert str(error).startswith("export 2026-01-31: ")
    assert words in str(error)


@pytest.mark.parametrize("text", ["Invalid credentials", "not a project member"])
def test_wrong_region_is_thought_of(text: str) -> None:
    """An account that is not known may be known elsewhere: the regions are listed."""
    assert "us, eu, in" in str(refuse(401, text))


def test_rate_limit_keeps_the_wait() -> None:
    """How long Mixpanel asks us to wait goes along."""
    error = error_from_refusal(429, "", request=EXPORT, config=config(), retry_after_s=30.0)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == 30.0


@pytest.mark.parametrize("text", [f"Invalid: {WHERE}", f"where: {WHERE} is not a boolean"])
def test_words_of_the_filter_are_not_mixpanels(text: str) -> None:
    """A filter that is quoted back does not make its own words the cause, nor is it shown."""
    error = refuse(400, text, where=WHERE)
    assert type(error) is RequestError
    assert "a@b.example" not in str(error)


def test_declaration_of_a_report_is_at_fault() -> None:
    """What a report asks wrongly is in its declaration, whose filters are not shown either."""
    declared = [{"name": "R", "table": "retention", "params": {"born_where": WHERE}}]
    text = f"Error in from_date: bad year, where: {WHERE}"
    error = error_from_refusal(
        400,
        text,
        request=Request(endpoint("retention"), "retention", part="R"),
        config=config(reports=declared),
    )
    assert str(error) == (
        'retention R: status 400, "Error in from_date: bad year, where: ...". '
        "Check what reports declares for R."
    )


@given(
    status=st.sampled_from((301, 400, 401, 402, 403, 404, 408, 412, 429, 500, 503)),
    parts=st.lists(st.sampled_from((SECRET, USERNAME, WHERE, " ", "\n", "bad ", "x" * 195))),
)
def test_nothing_we_keep_is_shown(status: int, parts: list[str]) -> None:
    """Secret, user name and filter are not in the message, wherever the reply has them."""
    message = str(refuse(status, "".join(parts), where=WHERE))
    for kept in (SECRET, USERNAME, WHERE):
        assert kept not in message


@pytest.mark.parametrize("status", [400, 401, 402, 403, 500])
def test_message_is_short_and_on_one_line(status: int) -> None:
    """A page of text is cut, line breaks go, and addresses go, for they may hold anything."""
    text = f"see https://mixpanel.com/api?secret=1\r\n\tfor\x0bmore {'blah ' * 1_000}"
    message = str(refuse(status, text))
    assert '"see for more blah' in message
    assert "https" not in message
    assert len(message.splitlines()) == 1
    assert message.count("blah") <= MAX_QUOTED_CHARACTERS // len("blah ")
