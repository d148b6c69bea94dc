"""Shows what is staged, and asks whether to send it."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from mixpanel_source.cli.output import complain
from mixpanel_source.cli.text import count, duration
from mixpanel_source.errors import ConfigError

if TYPE_CHECKING:
    from ..commands.importing import Staging
    from ..commands.summary import Summary

SHOWN = 12
"""Maximum reasons and changes that are listed."""
PROGRESS_SECONDS = 2.0


def describe(staging: Staging) -> list[str]:
    """What is staged, as lines for people; no values of rows."""
    summary, noun = staging.summary, staging.kind.removesuffix("s")
    if staging.is_resumed and staging.send is not None:
        return [
            f"Run {staging.send.run} to {staging.target} was interrupted: the rest of its "
            f"{count(summary.rows, noun)} will be sent."
        ]
    lines = [f"{count(summary.rows, noun)}, {summary.bytes / 1e6:,.1f} MB, to {staging.target}"]
    if summary.days:
        days = sorted(summary.days)
        lines.append(f"{count(len(days), 'day')}, {days[0]} to {days[-1]}")
    if staging.kind == "events":
        billed = summary.to_send - summary.expected_refusals - summary.unbilled
        lines.append(f"{count(billed, 'event')} billed as events now, whatever their time")
    if seconds := summary.seconds(staging.pace):
        lines.append(f"at least {duration(max(1, seconds))} at {staging.pace:,} per second")
    return lines + _details(summary)


def _details(summary: Summary) -> list[str]:
    lines = []
    shared = summary.shared
    if shared.equal:
        lines.append(f"{count(shared.equal, 'row')} repeated in the input")
    if shared.different:
        lines.append(
            f"{count(shared.different, 'row')} with the id of another one on the same day but "
            "other content: Mixpanel keeps one of them"
        )
    if summary.sent_before:
        lines.append(f"{count(summary.sent_before, 'row')} left out: sent by earlier runs")
    if summary.held:
        lines.append(f"{count(summary.held, 'row')} will not be sent")
    if summary.expected_refusals:
        lines.append(f"{count(summary.expected_refusals, 'row')} expected to be refused")
    lines += [f"  {number:,} {problem}" for problem, number in summary.problems.most_common(SHOWN)]
    lines += [f"  {number:,} {change}" for change, number in summary.changes.most_common(SHOWN)]
    return lines


class Confirmation:
    """Asks on the terminal, unless it was confirmed beforehand."""

    def __init__(self, *, is_confirmed: bool, asks: bool = True) -> None:
        """Ask unless `is_confirmed`; with `asks` false, only show."""
        self._is_confirmed = is_confirmed
        self._asks = asks

    def check_possible(self) -> None:
        """Check that there is somebody to ask.

        Raises:
            ConfigError: there is not.
        """
        if self._asks and not self._is_confirmed and not sys.stdin.isatty():
            raise ConfigError("There is no terminal to confirm on. Give --yes, or --dry-run.")

    def __call__(self, staging: Staging) -> bool:
        """Show what is staged; returns whether to send it."""
        for line in describe(staging):
            complain(line)
        if not self._asks or self._is_confirmed:
            return True
        answer = input(f"Send to {staging.target}? Type the number of the project: ")
        return answer.strip() == str(staging.target.project_id)


class ProgressLines:
    """A line on standard error every few seconds."""

    def __init__(self) -> None:
        """Show the first line after a while."""
        self._next_at = time.monotonic() + PROGRESS_SECONDS
        self._lock = threading.Lock()

    def __call__(self, sent: int) -> None:
        """Show how many rows are sent, if it is time for that."""
        with self._lock:
            if time.monotonic() < self._next_at:
                return
            self._next_at = time.monotonic() + PROGRESS_SECONDS
        complain(f"{count(sent, 'row')} sent")
