"""What was sent to a project from this machine; sends no request."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mixpanel_source.errors import ConfigError

from ..runs import ProjectRuns, Send

LAST = "last"
"""Stands for the newest run."""


@dataclass
class RunStatus:
    """One run, in detail."""

    send: Send
    reasons: Counter[str]
    """Refused rows by Mixpanel's words."""
    refused_file: Path


def find_send(runs: ProjectRuns, run: str) -> Send:
    """A run by its name.

    Raises:
        ConfigError: there is none.
    """
    sends = runs.sends()
    if run == LAST and sends:
        return sends[-1]
    found = next((send for send in sends if send.run == run), None)
    if found is None:
        newest = ", ".join(send.run for send in sends[-3:][::-1])
        raise ConfigError(
            f"there is no run {run} to this project on this machine."
            + (f" The newest are {newest}." if newest else "")
        )
    return found


def describe_run(runs: ProjectRuns, run: str) -> RunStatus:
    """A run, and why rows of it were refused.

    Raises:
        ConfigError: there is none of this name.
    """
    send = find_send(runs, run)
    log = runs.log(send.run)
    reasons = Counter(f"{row.field}: {row.message}".strip(": ") for row in log.refused())
    return RunStatus(send, reasons, log.refused_file)
