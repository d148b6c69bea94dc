"""Runs an import: progress while it runs, Ctrl-C, and the result."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from threading import Event
from typing import TYPE_CHECKING, Any

from mixpanel_source.cli.output import Column, complain, print_table
from mixpanel_source.cli.signals import CancellableClock, run_cancellable
from mixpanel_source.errors import CancelledError

from .confirm import Confirmation, ProgressLines

if TYPE_CHECKING:
    from ..commands.importing import ImportOptions, ImportResult
    from ..runs import Send
    from ..settings import Settings

COLUMNS = (
    Column("run", "run {}"),
    Column("kind"),
    Column("staged", "{} staged"),
    Column("accepted", "{} accepted"),
    Column("refused", "{} refused"),
    Column("not sent", "{} not sent"),
    Column("requests", unit="request"),
)


def run_import(
    settings: Settings,
    chosen: ImportOptions,
    lines: Iterable[bytes],
    confirm: Confirmation,
    *,
    source: str,
    as_json: bool = False,
) -> int:
    """Import rows, print what was sent and return the exit code.

    Args:
        settings: of the project.
        chosen: how rows are made and sent.
        lines: the rows, as JSON.
        confirm: shows and asks.
        source: where the rows come from, for people.
        as_json: whether to print one JSON object.
    """
    from ..commands.importing import Importer

    def job(cancelled: Event) -> ImportResult:
        importer = Importer(
            settings,
            chosen,
            clock=CancellableClock(cancelled),
            cancelled=cancelled,
            on_progress=ProgressLines(),
        )
        return importer.run(lines, confirm, source=source)

    started_at = time.monotonic()
    try:
        result = run_cancellable(job, on_cancel=_announce_cancel)
    except CancelledError as error:
        complain(error.reason)
        raise
    print_result(result, time.monotonic() - started_at, as_json=as_json)
    return result.exit_code


def _announce_cancel() -> None:
    complain("Cancelling: waiting for the requests under way. Press Ctrl-C again to end at once.")


def print_result(result: ImportResult, seconds: float, *, as_json: bool = False) -> None:
    """Print what was sent, and what was refused."""
    if as_json:
        print(json.dumps(_as_json(result)))
        return
    print_table(COLUMNS, [_cells(send) for send in result.sends], names=2)
    rows = sum(send.accepted + send.refused for send in result.sends)
    if rows:
        print(f"{rows:,} rows in {seconds:.1f} s ({rows / max(seconds, 0.001):,.0f} rows/s)")
    if result.note:
        print(result.note)
    for send in result.sends:
        if send.refused or send.skipped:
            print(f"To see what was refused: mixpanel-destination status {send.run}")


def _cells(send: Send) -> tuple[str | int, ...]:
    counts = (send.staged, send.accepted, send.refused, send.skipped)
    return (send.run, send.kind, *counts, send.requests)


def _as_json(result: ImportResult) -> dict[str, Any]:
    facts: dict[str, Any] = {"runs": [asdict(send) for send in result.sends], "note": result.note}
    if result.staging is not None:
        summary = result.staging.summary
        facts["staged"] = {
            "rows": summary.rows,
            "bytes": summary.bytes,
            "not_sent": summary.held,
            "sent_before": summary.sent_before,
            "expected_refusals": summary.expected_refusals,
            "problems": dict(summary.problems),
            "changes": dict(summary.changes),
        }
    return facts
