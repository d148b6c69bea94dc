"""What a refusal by Mixpanel means, and what to do about it.

Pure: a status and a text go in, an error comes out. The API has no single form of error: the same
cause comes with different statuses, and 400 is also used for bad credentials and for time-outs, so
the text is looked at too.

Source: https://developer.mixpanel.com/reference/overview, and the replies of the sandbox.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from .. import constants
from ..config.model import Config
from ..errors import (
    AccessError,
    AuthError,
    MixpanelError,
    PlanError,
    RateLimitedError,
    RequestError,
    ServerError,
)

SAID_CHARACTERS = 200
_FAULTS = (
    ("to_date.* today", "project_timezone: the project's day must not end before ours"),
    ("from_date|to_date", "anchor_date and range"),
    ("where|expression|selector", "where"),
    ("error in event", "events"),
    ("error in limit", "limit"),
    ("page_size", "engage_page_size"),
)
"""What a refusal says, and the settings to check then."""


def error_for(  # noqa: PLR0911 - one line a cause, in the order in which they are told apart
    status: int, text: str, *, what: str, config: Config, retry_after_s: float | None = None
) -> MixpanelError:
    """The error for a reply that is not 200.

    Args:
        status: HTTP status.
        text: what Mixpanel said, empty if nothing legible.
        what: what was asked, such as `export 2026-01-31`.
        config: to name the settings at fault, and to keep the secret out of the message.
        retry_after_s: seconds that Mixpanel asked us to wait.
    """
    said = _legible(text, config)
    # not the addresses and not the filter: their words say nothing about the cause
    lower = said.lower()
    quoted = f', "{said[:SAID_CHARACTERS].strip()}"' if said else ""
    asked = f"{what}: status {status}{quoted}."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(
            f"{what}: too many requests for project_id {config.project_id} (status 429).",
            retry_after_s=retry_after_s,
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or _is_timeout(status, lower):
        return ServerError(asked)
    if status == HTTPStatus.PAYMENT_REQUIRED:
        table = what.partition(" ")[0]
        without = f"leave the table {table} out of tables, or " if table in constants.TABLES else ""
        return PlanError(
            f"{asked} The plan of project_id {config.project_id} does not include this API; "
            f"{without}upgrade the plan."
        )
    if _is_wrong_project(lower):
        return AuthError(
            f"{asked} Check project_id ({config.project_id}): the service account must be a member "
            f"of it. Check region too: a project is in one of {_regions()}."
        )
    if status == HTTPStatus.FORBIDDEN:
        return AccessError(
            f"{asked} Give the service account a role in project_id {config.project_id} that may "
            "read this (owner, admin, analyst or consumer), or ask for newer days."
        )
    if status == HTTPStatus.UNAUTHORIZED or _is_wrong_credential(lower):
        return AuthError(
            f"{asked} Check username and secret: those of a service account that has not expired. "
            f"Check region too, one of {_regions()}: another region does not know the account."
        )
    return RequestError(f"{asked}{_advice(status, lower, what)}")


def _is_timeout(status: int, text: str) -> bool:
    return status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT) and (
        "timeout" in text or "timed out" in text
    )


def _is_wrong_project(text: str) -> bool:
    return any(
        sign in text for sign in ("not a project member", "for cluster", "project_id", "project id")
    )


def _is_wrong_credential(text: str) -> bool:
    return any(sign in text for sign in ("authenticat", "credential", "service account", "secret"))


def _advice(status: int, text: str, what: str) -> str:
    if status == HTTPStatus.NOT_FOUND or status < HTTPStatus.BAD_REQUEST:
        return " Check region and the base_url settings."
    table, _, report = what.partition(" ")
    if report and table in constants.REPORT_TABLES:
        return f" Check what reports declares for {report}."
    return next((f" Check {fault}." for signs, fault in _FAULTS if re.search(signs, text)), "")


def _regions() -> str:
    return ", ".join(constants.REGIONS)


def _legible(text: str, config: Config) -> str:
    """The text on one line, without addresses and without what we sent and keep to ourselves."""
    filters = (config.where, *(given for report in config.reports for given in report.filters))
    for hidden in filter(None, (config.secret, config.username, *filters)):
        text = text.replace(hidden, "...")
    return " ".join(re.sub(r"https?://\S+", "", text).split())
