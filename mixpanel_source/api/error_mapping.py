"""Maps refusals of Mixpanel to errors that say what to do.

Pure: a status and a text go in, an error comes out. The API has no single error format: one cause
comes with different statuses, 200 is also used for refusals, and 400 for wrong credentials and for
timeouts, so the text is examined too.

Source: https://developer.mixpanel.com/reference/overview.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from .. import constants
from ..catalog.tables import REPORT_TABLES
from ..config.model import Config
from ..errors import (
    AccessError,
    AuthError,
    ConfigError,
    MixpanelError,
    PlanError,
    RateLimitedError,
    RequestError,
    ServerError,
    TruncatedError,
)
from .redaction import Redactor
from .request import Request

_TOO_OLD = re.compile("(into|in) the past|retention|data history|too old")
"""In Mixpanel's text: days before the project's retention were requested."""
_SETTINGS_AT_FAULT = (
    ("to_date.* today", "project_timezone: the project's day must not end before ours"),
    ("from_date|to_date", "anchor_date and range"),
    ("where|expression|selector", "where"),
    ("error in event", "events"),
    ("error in limit", "limit"),
    ("page_size", "engage_page_size"),
)
"""Pattern in Mixpanel's text -> the settings to check."""
_PROFILE_SETTINGS_AT_FAULT = (
    ("output_properties", "engage_output_properties"),
    ("behaviors|as_of_timestamp", "engage_behaviors"),
    ("cohort", "engage_cohort"),
    ("where|expression|selector", "engage_where"),
)
"""The same, for the table of profiles."""
_PART_SETTINGS = {
    "cohort_members": "cohort_ids, or whether cohort {part} still exists",
    "groups": "data_group_ids: {part} must be a group key of the project",
    **dict.fromkeys(REPORT_TABLES, "what reports declares for {part}"),
}
"""Table that is loaded part by part -> what to check if a part is refused."""
_WRONG_PROJECT = re.compile(
    r"not a project member|for cluster|project secret's project id"
    r"|(invalid|unknown|missing|no|wrong|different) project[ _]id"
    r"|project[ _]id (is|was|must|not|does|mismatch)"
)
_WRONG_CREDENTIAL = re.compile(
    r"authenticat|credential|service account|(project|api|account) secret|invalid secret"
)
_RATE_LIMITED = re.compile(r"rate limit|too many (\w+ )?requests|quer(y|ies) running")
_PASSING = re.compile(
    r"time[d ]?[- ]?out|internal (server )?error|try again|retry later|temporar|unavailable"
    r"|overloaded|maintenance"
)
_MAY_PASS = (*range(100, 300), 400, 408, 425)
"""Statuses with which Mixpanel also reports its own failures, as the text tells."""
_REDIRECTS = range(300, 400)
_ALWAYS_PASS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY)


def error_from_refusal(  # noqa: PLR0911 - one return per cause, in order of precedence
    status: int,
    text: str,
    *,
    request: Request,
    config: Config,
    retry_after_s: float | None = None,
    is_page: bool = False,
) -> MixpanelError:
    """The error for a reply that is a refusal, whatever its status.

    Args:
        status: HTTP status.
        text: what the reply says; empty if there is nothing that is legible.
        request: what was requested; its label is the subject of the message.
        config: names the settings at fault, and what must stay out of the message.
        retry_after_s: seconds that Mixpanel asked to wait; None if it did not.
        is_page: whether an HTML page came, such as a proxy sends.
    """
    # without addresses and filters: words in those do not tell the cause
    legible = Redactor(config).words(text, hidden=request.hidden)
    lower = legible.lower()
    subject = request.label
    reason = f"status {status}" + (f', "{legible}".' if legible else ".")
    if status == HTTPStatus.TOO_MANY_REQUESTS or _is_rate_limited(status, lower):
        return RateLimitedError(
            f"too many requests for project_id {config.project_id} (status {status}).",
            subject=subject,
            retry_after_s=retry_after_s,
        )
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return ConfigError(
            f"{reason} Add the proxy's user and password to HTTP_PROXY.", subject=subject
        )
    if is_page and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _page_error(reason, status, request)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or _may_pass(status, lower):
        return ServerError(reason, subject=subject)
    if status == HTTPStatus.PAYMENT_REQUIRED:
        option = f"leave the table {request.table} out of tables, or " if request.table else ""
        return PlanError(
            f"{reason} The plan of project_id {config.project_id} does not include this API; "
            f"{option}upgrade the plan.",
            subject=subject,
        )
    if _WRONG_PROJECT.search(lower):
        return AuthError(
            f"{reason} Check project_id ({config.project_id}): the service account must be a "
            f"member of it. Check region too: a project is in one of {_regions()}.",
            subject=subject,
        )
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN) and _TOO_OLD.search(lower):
        stated = re.search(r"(\d+) days", lower)
        return AccessError(
            f"{reason} The project does not serve days that old: request newer days, by "
            "anchor_date or range.",
            subject=subject,
            history_days=int(stated[1]) if stated else 0,
        )
    if status == HTTPStatus.FORBIDDEN:
        return AccessError(
            f"{reason} Give the service account a role in project_id {config.project_id} that may "
            "read this (owner, admin, analyst or consumer), or request newer days.",
            subject=subject,
        )
    if status == HTTPStatus.UNAUTHORIZED or _WRONG_CREDENTIAL.search(lower):
        return AuthError(
            f"{reason} Check username and secret: those of a service account that has not "
            f"expired. Check region too, one of {_regions()}: each region knows only its own "
            "accounts.",
            subject=subject,
        )
    return RequestError(f"{reason}{_advice(status, lower, request)}", subject=subject)


def _page_error(reason: str, status: int, request: Request) -> MixpanelError:
    """The error for a page that came instead of an answer of the API, see `error_from_refusal`."""
    advice = (
        f"{reason} A proxy or firewall may have sent it instead of Mixpanel: check HTTPS_PROXY and "
        f"NO_PROXY, region and {request.host_setting}."
    )
    kinds: dict[int, type[RequestError]] = {403: AccessError, 401: AuthError}
    if status == HTTPStatus.OK:
        # perhaps a page of a load balancer, but hardly more than once
        return TruncatedError(advice, subject=request.label, retries=1)
    if status in _ALWAYS_PASS:
        return ServerError(advice, subject=request.label)
    return kinds.get(status, RequestError)(advice, subject=request.label)


def _is_rate_limited(status: int, text: str) -> bool:
    return status < HTTPStatus.INTERNAL_SERVER_ERROR and _RATE_LIMITED.search(text) is not None


def _may_pass(status: int, text: str) -> bool:
    passes = status in _MAY_PASS and _PASSING.search(text) is not None
    return passes or status in _ALWAYS_PASS


def _advice(status: int, text: str, request: Request) -> str:
    part = _PART_SETTINGS.get(request.table) if request.part else None
    if part and (text or status != HTTPStatus.NOT_FOUND):
        return f" Check {part.format(part=request.part)}."
    if status == HTTPStatus.NOT_FOUND or status in _REDIRECTS:
        return " Check region and the base_url settings."
    for_profiles = _PROFILE_SETTINGS_AT_FAULT if request.table == "engage" else ()
    known = (*for_profiles, *_SETTINGS_AT_FAULT) if request.table else ()
    found = next((names for signs, names in known if re.search(signs, text)), None)
    if found:
        return f" Check {found}."
    # without a word it may be another server that answers
    return "" if text else f" Check region and {request.host_setting}."


def _regions() -> str:
    return ", ".join(constants.REGIONS)
