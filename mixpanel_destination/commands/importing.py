"""Stage, show, send: writes rows to a project."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from mixpanel_source.api.clock import Clock
from mixpanel_source.errors import CancelledError, ConfigError, MixpanelError

from .. import constants
from ..api.client import Client
from ..destination import Delivery
from ..errors import ROWS_REFUSED
from ..rows.checks import Period
from ..rows.events import EventPacker
from ..rows.insert_ids import InsertIds
from ..rows.staged import Staged
from ..rows.updates import UNREPEATABLE, UpdatePacker
from ..runs import ProjectRuns, Send
from ..sending.sender import SendOptions
from ..settings import Settings
from .packages import Packages, exclusive, remove_loaded
from .sent_keys import SentKeys
from .summary import Summary
from .target import Target, check_token, find_target

logger = logging.getLogger("mixpanel_destination")


@dataclass(frozen=True)
class ImportOptions:
    """How rows are made and sent."""

    kind: str = "events"
    operation: str = "set"
    group_key: str | None = None
    insert_id_salt: str = ""
    keep_arrival: bool = False
    timezone: str = ""
    """IANA zone in which the clock stands that `time` comes from; UTC if empty."""
    locate: bool = False
    """Whether Mixpanel shall locate the address that rows are sent from."""
    inexact: bool = False
    """Whether updates may be sent that double if they are repeated."""
    in_flight: str = ""
    """See `SendOptions`."""
    skip_sent: bool = False
    """Whether to leave out events that earlier runs have sent."""
    again: bool = False
    """Whether to send a set of rows that was sent before."""
    deletions: bool = False
    """Whether updates may delete profiles."""
    dry_run: bool = False
    refused_share_max: float = constants.REFUSED_SHARE_MAX


@dataclass
class Staging:
    """What is about to be sent, for the user to confirm."""

    target: Target
    kind: str
    summary: Summary
    pace: int
    is_resumed: bool = False
    send: Send | None = None


@dataclass
class ImportResult:
    """What an import did."""

    staging: Staging | None
    sends: list[Send] = field(default_factory=list)
    """The runs that were sent: one that was interrupted before, and this one."""
    note: str = ""

    @property
    def exit_code(self) -> int:
        """0, or 65 if rows were refused or not sent."""
        has_refused = any(send.refused or send.skipped for send in self.sends)
        return ROWS_REFUSED if has_refused else 0


Confirm = Callable[[Staging], bool]


class Importer:
    """Writes rows of one kind to one project."""

    def __init__(
        self,
        settings: Settings,
        options: ImportOptions,
        *,
        clock: Clock = time,
        cancelled: threading.Event | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Prepare; nothing is sent."""
        self.options = options
        self._clock = clock
        self._cancelled = cancelled or threading.Event()
        self.client = Client(settings, clock=clock, cancelled=self._cancelled)
        self._runs = ProjectRuns(settings.project_id)
        delivery = Delivery(
            settings=settings,
            client=self.client,
            options=SendOptions(
                refused_share_max=options.refused_share_max, in_flight=options.in_flight
            ),
            on_progress=on_progress,
        )
        self._packages = Packages(self._runs, options.kind, delivery)

    def run(self, lines: Iterable[bytes], confirm: Confirm, *, source: str) -> ImportResult:
        """Finish an interrupted run, then stage rows, let them be confirmed, and send them.

        Args:
            lines: the rows, as JSON.
            confirm: shows what is staged; returns whether to send it.
            source: where the rows come from, for people.

        Raises:
            ConfigError: the project, the account or the token is not right; nothing was sent.
            MixpanelError: nothing more can be sent now; what is staged is kept.
        """
        with exclusive(self._runs, self.options.kind):
            target = find_target(self.client)
            if self.options.kind != "events" and not self.options.dry_run:
                check_token(self.client)
            resumed = self._resume(target, confirm)
            staging = self._stage(lines, target, source)
            result = ImportResult(staging, [resumed] if resumed else [])
            send = staging.send
            if send is None or self.options.dry_run:
                self._packages.discard()
                confirm(staging)
                result.note = "Dry run: nothing was sent." if send else _why_empty(staging.summary)
                return result
            if before := self._sent_before(send):
                self._packages.discard()
                result.note = (
                    f"The same rows were sent by run {before.run}. Nothing was sent; --again sends "
                    "them again."
                )
                return result
            if not confirm(staging):
                self._packages.discard()
                raise CancelledError("Not confirmed; nothing was sent.")
            result.sends.append(self._send(send))
            return result

    def _resume(self, target: Target, confirm: Confirm) -> Send | None:
        """Send what an interrupted run has left."""
        run = self._packages.pending()
        send = self._runs.find(run) if run else None
        if send is None or send.state not in ("sending", "stopped"):
            return None
        if self.options.dry_run:
            raise ConfigError(
                f"run {send.run} was interrupted, and its rest would be lost. Send it first: "
                f"mixpanel-destination retry {send.run} --project-id {send.project_id}."
            )
        summary = Summary(rows=send.staged, bytes=send.bytes)
        pace = self.client.settings.pace
        staging = Staging(target, send.kind, summary, pace, is_resumed=True, send=send)
        if not confirm(staging):
            raise CancelledError("Not confirmed; nothing was sent.")
        return self._send(send)

    def _stage(self, lines: Iterable[bytes], target: Target, source: str) -> Staging:
        settings = self.client.settings
        summary = Summary()
        packer = self._packer()
        run = self._packages.stage(self._pack(lines, packer, summary))
        summary.finish()
        summary.changes.update(packer.changes)
        staging = Staging(target, self.options.kind, summary, settings.pace)
        if run is None or not summary.rows:
            return staging
        if isinstance(packer, EventPacker):
            for reason, number in packer.ids.made.items():
                summary.changes[f"$insert_id made ({reason})"] += number
        elif unsafe := sum(packer.operations[name] for name in UNREPEATABLE):
            self._check_repeatable(unsafe)
        days = sorted(summary.days)
        staging.send = Send(
            run=run,
            project_id=settings.project_id,
            region=settings.region,
            kind=self.options.kind,
            state="staged",
            source=source,
            staged=summary.rows,
            digest=summary.digest,
            first_day=days[0] if days else "",
            last_day=days[-1] if days else "",
            started_at=self._clock.time(),
            options=self._row_options(),
        )
        return staging

    def _check_repeatable(self, rows: int) -> None:
        if not self.options.inexact:
            self._packages.discard()
            raise ConfigError(
                f"{rows:,} updates have $add or $append, whose effect doubles if an interrupted "
                "request is repeated. Give --inexact to accept that, or send the results with "
                "--operation set or union."
            )

    def _row_options(self) -> dict[str, Any]:
        options = self.options
        return {"operation": options.operation, "group_key": options.group_key}

    def _packer(self) -> EventPacker | UpdatePacker:
        options = self.options
        if options.kind == "events":
            days = self.client.settings.retention_days
            return EventPacker(
                Period.at(self._clock.time(), days),
                ids=InsertIds(options.insert_id_salt),
                keep_ip=options.locate,
                keep_arrival=options.keep_arrival,
                zone=ZoneInfo(options.timezone) if options.timezone else None,
            )
        return UpdatePacker(
            options.operation,
            group_key=options.group_key if options.kind == "groups" else None,
            keep_ip=options.locate,
            deletions_allowed=options.deletions,
        )

    def _pack(
        self, lines: Iterable[bytes], packer: EventPacker | UpdatePacker, summary: Summary
    ) -> Iterator[list[Staged]]:
        rest = iter(lines)
        sent = SentKeys(self._runs) if self.options.skip_sent else None
        while rows := [packer.pack(line) for line in islice(rest, constants.FILE_ROWS)]:
            if self._cancelled.is_set():
                raise CancelledError("Cancelled. Nothing was sent.")
            if sent is not None:
                new = sent.new(rows)
                summary.sent_before += len(rows) - len(new)
                rows = new
            summary.add(rows)
            if rows:
                yield rows

    def _sent_before(self, send: Send) -> Send | None:
        if self.options.again:
            return None
        return next(
            (
                other
                for other in self._runs.sends()
                if (other.digest, other.kind) == (send.digest, send.kind) and other.state == "done"
            ),
            None,
        )

    def _send(self, send: Send) -> Send:
        send.state = "sending"
        self._runs.record(send)
        requests, retries = self.client.requests, self.client.retries
        try:
            self._packages.send()
        except MixpanelError:
            send.state = "stopped"
            raise
        else:
            send.state = "done"
            remove_loaded(self._runs.packages)
        finally:
            totals = self._runs.log(send.run).totals()
            send.accepted, send.refused = totals["accepted"], totals["refused"]
            send.skipped, send.bytes = totals["skipped"], totals["bytes"]
            send.requests += self.client.requests - requests
            send.retries += self.client.retries - retries
            send.ended_at = self._clock.time()
            self._runs.record(send)
        return send


def _why_empty(summary: Summary) -> str:
    return "There are no new rows." if summary.sent_before else "There are no rows."
