"""Every error this package raises on purpose.

The tree::

    MixpanelError
    ├── ConfigError          a setting is missing or wrong; nothing was asked of Mixpanel
    ├── RequestError         Mixpanel said no, and would say no again
    │   ├── AuthError        user name, secret, project or region do not fit together
    │   ├── AccessError      the account may not read this
    │   └── PlanError        the project's plan does not include this API
    ├── UnavailableError     trying again may help
    │   ├── RateLimitedError the quota is used up
    │   ├── ServerError      5xx, a time-out, a broken connection
    │   └── TruncatedError   a reply that ended, but not whole
    ├── PausedError          the quota allows no request for longer than we are to wait
    ├── BusyError            another run of the same pipeline is under way
    └── CancelledError       the run was told to stop, and did

A message says what was asked, what came back and what to do. It never holds a secret, a property
value or a piece of a reply that could hold one.
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
    "RequestError",
    "ServerError",
    "TruncatedError",
    "UnavailableError",
]


class MixpanelError(Exception):
    """Root of all errors raised on purpose by this package."""

    exit_code: ClassVar[int] = 1
    """What a command that ends with this error exits with: 1 failed, 2 wrong usage or settings, 75
    stopped for now, 130 interrupted."""


class ConfigError(MixpanelError):
    """A setting is missing, malformed or contradicts another; the message names it."""

    exit_code = 2


class RequestError(MixpanelError):
    """Mixpanel refused a request for a reason that a retry does not change."""


class AuthError(RequestError):
    """User name, secret, project or region do not fit together."""

    exit_code = 2


class AccessError(RequestError):
    """The service account is known but may not read what was asked."""


class PlanError(RequestError):
    """The project's plan does not include the API that was asked (status 402)."""


class UnavailableError(MixpanelError):
    """A failure that may pass; raised once the retries are used up."""

    retry_after_s: float | None = None
    """Seconds Mixpanel asked us to wait, if it did."""


class RateLimitedError(UnavailableError):
    """Status 429: too many requests for this project."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        """Keep how long Mixpanel asked us to wait."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerError(UnavailableError):
    """A 5xx status, a time-out or a connection that broke."""


class TruncatedError(UnavailableError):
    """A reply whose end is missing, or which Mixpanel itself declared cut short."""


class PausedError(MixpanelError):
    """The next request may be made only later than we were told to wait; run again then."""

    exit_code = 75


class BusyError(MixpanelError):
    """Another run of the same pipeline is under way."""

    exit_code = 75


class CancelledError(MixpanelError):
    """The run was told to stop, and stopped where nothing is half done; run again to go on."""

    exit_code = 130
