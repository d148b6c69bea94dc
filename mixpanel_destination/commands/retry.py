"""Sends again what a run could not send."""

from __future__ import annotations

from collections.abc import Iterator

from mixpanel_source.errors import ConfigError

from ..runs import RunLog, Send
from .importing import ImportOptions


def retry_lines(log: RunLog) -> Iterator[bytes]:
    """The refused rows of a run, as JSON."""
    for row in log.refused():
        yield row.payload.encode()


def retry_options(
    send: Send, *, refused_share_max: float, inexact: bool, in_flight: str
) -> ImportOptions:
    """How the refused rows of a run are sent again: as they were.

    Raises:
        ConfigError: the run is of a kind that cannot be sent again.
    """
    if not send.options:
        raise ConfigError(
            f"run {send.run} was made by another pipeline. Run that pipeline again, or import "
            "the rows of its _mixpanel_refused."
        )
    return ImportOptions(
        kind=send.kind,
        operation=send.options["operation"],
        group_key=send.options["group_key"],
        again=True,
        inexact=inexact,
        in_flight=in_flight,
        refused_share_max=refused_share_max,
    )
