"""What a refusal by Mixpanel means, and what to do about it.

Pure: a status and a text go in, an error comes out. The API has no single form of error: the same
cause comes with different statuses, and 400 is also used for bad credentials and for time-outs, so
the text is looked at too.

Source: https://developer.mixpanel.com/reference/overview, and the replies of the sandbox.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from . import settings
from .config import Config
from .errors import (
    AccessError,
    AuthError,
    MixpanelError,
    PlanError,
    RateLimitedError,
    RequestError,
    ServerError,
)

SAID_CHARACTERS = 200


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
    lower = text.lower()
    asked = f"{what}: status {status}{_quoted(text, config)}."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(
            f"{what}: too many requests for project_id {config.project_id} (status 429).",
            retry_after_s=retry_after_s,
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or _is_timeout(status, lower):
        return ServerError(asked)
    if status == HTTPStatus.PAYMENT_REQUIRED:
        return PlanError(
            f"{asked} The plan of project_id {config.project_id} does not include this API; "
            f"leave the table {what.partition(' ')[0]} out of tables, or upgrade the plan."
        )
    if _is_wrong_project(lower):
        return AuthError(
            f"{asked} Check project_id ({config.project_id}): the service account must be a member "
            f"of it. Check region too: a project is in one of {_regions()}."
        )
    if status == HTTPStatus.UNAUTHORIZED or _is_wrong_credential(lower):
        return AuthError(
            f"{asked} Check username and secret: those of a service account that has not expired. "
            f"Check region too, one of {_regions()}: another region does not know the account."
        )
    if status == HTTPStatus.FORBIDDEN:
        return AccessError(
            f"{asked} Give the service account a role in project_id {config.project_id} that may "
            "read this (owner, admin, analyst or consumer), or ask for newer days."
        )
    return RequestError(f"{asked}{_advice(lower)}")


def _is_timeout(status: int, text: str) -> bool:
    return status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT) and "timeout" in text


def _is_wrong_project(text: str) -> bool:
    return any(
        sign in text for sign in ("not a project member", "for cluster", "project_id", "project id")
    )


def _is_wrong_credential(text: str) -> bool:
    return any(sign in text for sign in ("authenticat", "credential", "service account", "secret"))


def _advice(text: str) -> str:
    if "to_date" in text:
        return " Check project_timezone: the project's day must not end before ours."
    if "where" in text or "expression" in text or "selector" in text:
        return " Check where."
    return ""


def _regions() -> str:
    return ", ".join(settings.REGIONS)


def _quoted(text: str, config: Config) -> str:
    """What Mixpanel said, short, on one line and without anything we keep to ourselves."""
    for hidden in (config.secret, config.username, config.where or ""):
        if hidden:
            text = text.replace(hidden, "...")
    text = re.sub(r"https?://\S+", "", " ".join(text.split()))
    return f', "{text[:SAID_CHARACTERS].strip()}"' if text.strip() else ""
