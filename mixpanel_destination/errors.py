"""Errors of the write side, beside those of `mixpanel_source.errors`."""

from __future__ import annotations

from typing import ClassVar

from mixpanel_source.errors import MixpanelError

ROWS_REFUSED = 65
"""Exit code of a command that is done, but whose rows were refused in part. `EX_DATAERR` of
sysexits.h."""


class SendingPausedError(MixpanelError):
    """Mixpanel accepted nothing for a long time; the package stays, the same command continues."""

    exit_code: ClassVar[int] = 75


class TooManyRefusedError(MixpanelError):
    """More rows were refused than expected; the rest was not sent."""

    exit_code: ClassVar[int] = 1


class UncertainError(MixpanelError):
    """No answer to a request that must not be sent twice: it may have been carried out."""
