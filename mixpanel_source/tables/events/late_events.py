"""Searches for events that arrived later than any look-back reaches.

The search requests what Mixpanel received since the last search, for as many days as one request
may cover. Only two facts of the reply matter: for which days events arrived, and when. Those days
are then read again completely, as a sync reads them, because a late event never comes alone: what
else changed on its day comes too.

Source: https://docs.mixpanel.com/docs/data-structure/property-reference/reserved-properties.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import NamedTuple

from ...decode.event_time import EPOCH_ORDINAL
from ...decode.index.identity import EventIdentifier
from ...errors import ServerError, TruncatedError
from ...windows import DAY, Window, WindowQueue, WindowSizer, days_to_search, newest_day
from ..context import LoadContext
from ..emit import build_reader
from ..package import LoadPackage
from ..spool.spool import Spool, spool_name
from ..spool.windows import find_verified
from .downloads import MAX_SPOOL_AGE_S
from .fetching import build_request, receive
from .ledger import Ledger

logger = logging.getLogger("mixpanel_source")

MAX_DAYS = 366
"""Maximum days that one request searches; fewer where Mixpanel does not manage as many."""
RECEIVED_AT = "mp_processing_time_ms"


def search_late_events(
    context: LoadContext, package: LoadPackage, ledger: Ledger, spool: Spool
) -> None:
    """Record in the ledger the days for which events arrived since they were read.

    Searches the days that were loaded and that no sync reads again. Sends no request if there are
    none.

    Args:
        context: of the run.
        package: that the days will be loaded in.
        ledger: what was loaded, and when it was searched last.
        spool: where replies go, to be found again if the process is killed.
    """
    config = context.config
    yesterday = newest_day(context.now(), zone=config.project_timezone, include_today=False)
    searched = days_to_search(
        anchor=config.anchor(yesterday + DAY),
        yesterday=yesterday,
        catch_up_days=config.catch_up_days,
        lookback_days=config.lookback_days,
    )
    searcher = _Searcher(context, package, ledger, spool)
    findings = searcher.search(ledger.loaded_days(searched))
    package.searched_late_events = True
    if not findings:
        logger.info("export: a sync reads every loaded day again, so there is nothing to search.")
        return
    newest = {day: at for finding in findings for day, at in finding.newest.items()}
    ledger.record_search(searched, at=min(f.began_at for f in findings), newest=newest)
    logger.info("export %s: %d days have late events", searched, len(ledger.late_days))


class _Finding(NamedTuple):
    """What arrived for the days of one window."""

    began_at: float
    """When the reply began, seconds since the epoch."""
    newest: dict[date, float]
    """Day -> when its newest event arrived, seconds since the epoch."""


class _Searcher:
    """Requests what arrived for windows since they were read or searched."""

    def __init__(
        self, context: LoadContext, package: LoadPackage, ledger: Ledger, spool: Spool
    ) -> None:
        self._context = context
        self._package = package
        self._ledger = ledger
        self._spool = spool

    def search(self, days: Sequence[date]) -> list[_Finding]:
        """What arrived for all of `days`: in one request, or in more if that is too much."""
        queue = WindowQueue(days, WindowSizer(MAX_DAYS))
        findings = []
        while queue:
            window = queue.next()
            try:
                findings.append(self._search_window(window))
            except (ServerError, TruncatedError) as failure:
                if not self._context.window_requests.halve(window, queue):
                    raise
                logger.warning("%s Trying fewer days at once.", failure)
        return findings

    def _search_window(self, window: Window) -> _Finding:
        config = self._context.config
        since_ms = int(self._ledger.known_until([*window.days]) * 1000)
        filtered = replace(config, where=_received_after(since_ms, config.where), limit=None)
        name = spool_name(
            "late", window, config.project_id, config.export_base_url, filtered.filters
        )
        reader = build_reader(config, EventIdentifier())
        self._package.spooled.append((self._spool, name))
        after = self._context.time() - MAX_SPOOL_AGE_S
        found = find_verified(self._spool, name, reader, after=after)
        if found is None:
            requests = self._context.window_requests
            found = self._context.client.send(
                build_request(window, filtered, detail="late events"),
                partial(receive, self._spool, name, reader, lambda: None),
                budget=requests.budget(window),
                max_tries=requests.max_tries() if window.length_days > 1 else None,
                patience_s=self._context.patience_s(self._package),
            )
        spooled, verified = found
        verified.index.window = window
        arrived = verified.index.greatest_ranks().items()
        newest = {date.fromordinal(day + EPOCH_ORDINAL): ms / 1000 for day, ms in arrived}
        return _Finding(spooled.fetched_at, newest)


def _received_after(since_ms: int, where: str | None) -> str:
    received = f'properties["{RECEIVED_AT}"] > {since_ms}'
    return f"({where}) and {received}" if where else received
