"""Every error that this package raises on purpose.

The tree::

    MixpanelError
    ├── ConfigError          a setting is missing or wrong; nothing was requested
    ├── RequestError         there is no usable reply, and a retry would not change that
    │   ├── AuthError        username, secret, project or region do not match
    │   ├── AccessError      the account lacks permission
    │   ├── PlanError        the project's plan does not include this API
    │   └── ReplyError       a complete reply of an unknown shape
    ├── UnavailableError     a retry may help
    │   ├── RateLimitedError too many requests
    │   ├── ServerError      5xx, a timeout, a broken connection
    │   └── TruncatedError   a reply that is incomplete
    ├── PausedError          the quota allows no request for longer than the job may wait
    ├── BusyError            another job is loading into the same dataset
    └── CancelledError       the job was cancelled and stopped cleanly

A message says what was requested, what came back and what to do. It never contains a secret, a
property value or any piece of a reply that could contain one.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessError",
    "AuthError",
    "BusyError",
    "CancelledError",
    "ConfigError",
    "MixpanelError",
    "PausedError",
    "PlanError",
    "RateLimitedError",
    "ReplyError",
    "RequestError",
    "ServerError",
    "TruncatedError",
    "UnavailableError",
]


def one_line(text: str) -> str:
    """The text with control and invisible characters written as escapes, so it is one line."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


class MixpanelError(Exception):
    """Root of all errors that this package raises on purpose."""

    exit_code: ClassVar[int] = 1
    """Exit code of a command that ends with this error: 1 failed, 2 wrong usage or settings, 75
    stopped for now, 130 interrupted."""

    def __init__(self, reason: str, *, subject: str = "") -> None:
        """Build the message `subject: reason`.

        Args:
            reason: what went wrong and what to do.
            subject: what was requested, such as `export 2026-01-31`; empty if it was no request.
        """
        # whatever a message quotes, it does not control the terminal or the log it is printed in
        self.reason = one_line(reason)
        self.subject = one_line(subject)
        super().__init__(f"{self.subject}: {self.reason}" if subject else self.reason)
        self.answer = ""
        """All that Mixpanel answered, without credentials; empty if it refused nothing. May hold
        values that were requested, so it is shown on request only."""


class ConfigError(MixpanelError):
    """A setting is missing, malformed or contradicts another; the message names it."""

    exit_code = 2


class RequestError(MixpanelError):
    """A request without a usable reply, for a reason that a retry does not change."""


class AuthError(RequestError):
    """Username, secret, project or region do not match."""

    exit_code = 2


class AccessError(RequestError):
    """The service account is known but may not read what was requested."""

    def __init__(self, reason: str, *, subject: str = "", history_days: int | None = None) -> None:
        """Build the message as `MixpanelError` does.

        Args:
            reason: what went wrong and what to do.
            subject: what was requested.
            history_days: days into the past that may be read, 0 if that is not known, where older
                days were requested; None if something else was refused.
        """
        super().__init__(reason, subject=subject)
        self.history_days = history_days


class PlanError(RequestError):
    """The project's plan does not include the requested API (status 402)."""


class ReplyError(RequestError):
    """A complete reply of another shape than documented; a retry would get the same."""


class UnavailableError(MixpanelError):
    """A failure that may be temporary; raised once all retries have failed."""

    def __init__(
        self,
        reason: str,
        *,
        subject: str = "",
        retry_after_s: float | None = None,
        retries: int | None = None,
    ) -> None:
        """Build the message as `MixpanelError` does.

        Args:
            reason: what went wrong and what to do.
            subject: what was requested.
            retry_after_s: seconds that Mixpanel asked to wait; None if it did not.
            retries: maximum retries after such failures, because they hardly pass; None for as
                many as after any other.
        """
        super().__init__(reason, subject=subject)
        self.retry_after_s = retry_after_s
        self.retries = retries


class RateLimitedError(UnavailableError):
    """Status 429: too many requests for this project."""


class ServerError(UnavailableError):
    """A 5xx status, a timeout or a broken connection."""


class TruncatedError(UnavailableError):
    """A reply whose end is missing, or that Mixpanel itself declared incomplete."""


class PausedError(MixpanelError):
    """The quota allows the next request only after the maximum wait; run again then."""

    exit_code = 75


class BusyError(MixpanelError):
    """Another job is loading into the same dataset, or another process has the database open."""

    exit_code = 75


class CancelledError(MixpanelError):
    """The job was cancelled and stopped with nothing half done; run again to continue."""

    exit_code = 130
