"""Maps refusals of Mixpanel to errors that say what to do.

Pure: a status and a text go in, an error comes out. The API has no single error format: one cause
comes with different statuses, and 400 is also used for wrong credentials and for timeouts, so the
text is examined too.

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
)
from .request import Request

MAX_QUOTED_CHARACTERS = 200
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


def error_from_refusal(  # noqa: PLR0911 - one return per cause, in order of precedence
    status: int,
    text: str,
    *,
    request: Request,
    config: Config,
    retry_after_s: float | None = None,
) -> MixpanelError:
    """The error for a reply whose status is not 200.

    Args:
        status: HTTP status.
        text: Mixpanel's error text; empty if there is none that is legible.
        request: what was requested; its label is the subject of the message.
        config: names the settings at fault, and what must stay out of the message.
        retry_after_s: seconds that Mixpanel asked to wait; None if it did not.
    """
    legible = _redact(text, config)
    # without addresses and filters: words in those do not tell the cause
    lower = legible.lower()
    subject = request.label
    quoted = f', "{legible[:MAX_QUOTED_CHARACTERS].strip()}"' if legible else ""
    reason = f"status {status}{quoted}."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(
            f"too many requests for project_id {config.project_id} (status 429).",
            subject=subject,
            retry_after_s=retry_after_s,
        )
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return ConfigError(
            f"{reason} Add the proxy's user and password to HTTP_PROXY.", subject=subject
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or _is_timeout(status, lower):
        return ServerError(reason, subject=subject)
    if status == HTTPStatus.PAYMENT_REQUIRED:
        option = f"leave the table {request.table} out of tables, or " if request.table else ""
        return PlanError(
            f"{reason} The plan of project_id {config.project_id} does not include this API; "
            f"{option}upgrade the plan.",
            subject=subject,
        )
    if _is_wrong_project(lower):
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
    if status == HTTPStatus.UNAUTHORIZED or _is_wrong_credential(lower):
        return AuthError(
            f"{reason} Check username and secret: those of a service account that has not "
            f"expired. Check region too, one of {_regions()}: each region knows only its own "
            "accounts.",
            subject=subject,
        )
    return RequestError(f"{reason}{_advice(status, lower, request)}", subject=subject)


def _is_timeout(status: int, text: str) -> bool:
    return status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT) and (
        "timeout" in text or "timed out" in text
    )


def _is_wrong_project(text: str) -> bool:
    signs = ("not a project member", "for cluster", "project_id", "project id")
    return any(sign in text for sign in signs)


def _is_wrong_credential(text: str) -> bool:
    return any(sign in text for sign in ("authenticat", "credential", "service account", "secret"))


def _advice(status: int, text: str, request: Request) -> str:
    if status == HTTPStatus.NOT_FOUND or status < HTTPStatus.BAD_REQUEST:
        return " Check region and the base_url settings."
    if request.part and request.table in REPORT_TABLES:
        return f" Check what reports declares for {request.part}."
    settings = (names for signs, names in _SETTINGS_AT_FAULT if re.search(signs, text))
    return next((f" Check {names}." for names in settings), "")


def _regions() -> str:
    return ", ".join(constants.REGIONS)


def _redact(text: str, config: Config) -> str:
    """The text on one line, without addresses, credentials and filter values."""
    filters = (config.where, *(value for report in config.reports for value in report.filters))
    for hidden in filter(None, (config.secret, config.username, *filters)):
        text = text.replace(hidden, "...")
    return " ".join(re.sub(r"https?://\S+", "", text).split())
