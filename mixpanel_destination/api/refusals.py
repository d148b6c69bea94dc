"""Refusals that are an answer to the account or the network, and not to what was sent.

Pure. What is refused of the rows themselves is read by `replies`.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from mixpanel_source.errors import (
    AuthError,
    ConfigError,
    MixpanelError,
    PlanError,
    RateLimitedError,
    ServerError,
)

from ..settings import Settings
from .call import Call

_TIMEOUT = re.compile("timeout error|timed out")
_WRONG_ACCOUNT = re.compile(
    "unable to authenticate|invalid project id|mismatch between project|not a project member"
)
_UNAUTHORIZED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY)


def find_error(  # noqa: PLR0911 - one return per cause
    status: int, words: str, *, call: Call, settings: Settings, retry_after_s: float | None
) -> MixpanelError | None:
    """The error that a reply stands for; None if it is an answer to what was sent.

    Args:
        status: HTTP status.
        words: what the reply says, as a message may quote it.
        call: what was sent.
        settings: of the project.
        retry_after_s: seconds that Mixpanel asked to wait; None if it did not.
    """
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    section = f"destination.{settings.name}"
    reason = f"status {status}, {words!r}."
    # some hosts answer wrong credentials, and the region of another project, with 400
    is_bad = status == HTTPStatus.BAD_REQUEST
    if status in _UNAUTHORIZED or (is_bad and _WRONG_ACCOUNT.search(reason.lower())):
        return AuthError(_advice(reason, call, settings), subject=call.label)
    if status == HTTPStatus.PAYMENT_REQUIRED:
        return PlanError(f"{reason} The plan does not include this.", subject=call.label)
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return ConfigError(f"{reason} Add user and password to HTTP_PROXY.", subject=call.label)
    if status < HTTPStatus.BAD_REQUEST:
        return ConfigError(
            f"status {status}: the host redirects. Check region and the addresses of hosts in "
            f"{section}.",
            subject=call.label,
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError("too many requests (status 429).", retry_after_s=retry_after_s)
    may_pass = status in _PASSING or (is_bad and _TIMEOUT.search(reason.lower()))
    if may_pass or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError(reason, retry_after_s=retry_after_s)
    return None


def _advice(reason: str, call: Call, settings: Settings) -> str:
    section = f"destination.{settings.name}"
    if call.by_oauth:
        return f"{reason} Check oauth_token, token and region of {section}."
    return (
        f"{reason} Check username, secret, project_id {settings.project_id} and region of "
        f"{section}. The account needs the role owner or admin in the project."
    )
