"""Looks for events that came later than any look-back reaches.

Asked is for what Mixpanel has taken in since the last look, in as many days as one request gives.
Of the answer only this matters: for which days anything came, and when. Those days are then read
again as a whole, as a sync reads them, for of an event that came late nothing is ever loaded alone:
what else has changed on its day comes along.

Source: https://docs.mixpanel.com/docs/data-structure/property-reference/reserved-properties.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import NamedTuple

from ..config.model import Config
from ..decode.event_time import EPOCH_ORDINAL
from ..decode.identity import EventIdentifier
from ..errors import ServerError, TruncatedError
from ..windows import DAY, Window, WindowQueue, WindowSizer, days_to_look_through, newest_day
from .context import Job
from .emit import build_reader
from .event_downloads import FRESH_SECONDS, NAME, build_request, receive
from .ledger import Ledger
from .spool import Spool, spool_name
from .spooled_window import find_verified

logger = logging.getLogger("mixpanel_source")

MOST_DAYS = 366
"""Days looked through with one request, as long as Mixpanel answers it."""
ARRIVED = "mp_processing_time_ms"


def look_for_late_events(config: Config, job: Job, ledger: Ledger, spool: Spool) -> None:
    """Note in the ledger the days that events have arrived for since they were read.

    Looked through are the days that were loaded and that no sync reads again. If there are none,
    nothing is asked.

    Args:
        config: how many days back to look, and which events are loaded.
        job: whose client to ask.
        ledger: what was loaded, and when it was last looked through.
        spool: where answers go, to be found again if the process is killed.
    """
    yesterday = newest_day(job.now(), zone=config.project_timezone, include_today=False)
    wanted = days_to_look_through(
        anchor=config.anchor(yesterday + DAY),
        yesterday=yesterday,
        catch_up_days=config.catch_up_days,
        lookback_days=config.lookback_days,
    )
    looks = _look_through(ledger.loaded_days(wanted), _Looker(config, job, ledger, spool))
    job.looked = True
    if not looks:
        logger.info("export: no day is loaded that a sync would not read again anyway.")
        return
    newest = {day: at for look in looks for day, at in look.newest.items()}
    ledger.record_look(wanted, at=min(look.began_at for look in looks), newest=newest)
    logger.info("export %s: %d days have late events", wanted, len(ledger.late_days))


class _Look(NamedTuple):
    """What a window was found to have."""

    began_at: float
    """When the answer began, seconds since the epoch."""
    newest: dict[date, float]
    """Day -> when the newest of its events arrived, seconds since the epoch."""


class _Looker:
    """Asks what has arrived for a window since it was last known."""

    def __init__(self, config: Config, job: Job, ledger: Ledger, spool: Spool) -> None:
        self._config = config
        self._job = job
        self._ledger = ledger
        self._spool = spool

    def look(self, window: Window) -> _Look:
        """Ask what came for a window, unless a run that was killed has left the answer here."""
        since_ms = int(self._ledger.known_until([*window.days]) * 1000)
        config = self._config
        asked = replace(config, where=_arrived_after(since_ms, config.where), limit=None)
        name = spool_name("late", window, config.project_id, config.export_base_url, asked.filters)
        reader = build_reader(config, EventIdentifier(window))
        self._job.spooled.append((self._spool, name))
        after = self._job.clock.time() - FRESH_SECONDS
        found = find_verified(self._spool, name, reader, after=after)
        if found is None:
            request = replace(build_request(window, asked), what=f"{NAME} {window}, late events")
            read = partial(receive, self._spool, name, reader, lambda: None)
            client = self._job.client(config)
            found = client.send(request, read, patience_s=self._job.patience_s)
        spooled, verified = found
        arrived = verified.index.greatest_ranks().items()
        newest = {date.fromordinal(day + EPOCH_ORDINAL): ms / 1000 for day, ms in arrived}
        return _Look(spooled.fetched_at, newest)


def _look_through(days: Sequence[date], looker: _Looker) -> list[_Look]:
    """The answers for all of `days`: in one request, or in more if that is too much at once."""
    waiting = WindowQueue(days, WindowSizer(MOST_DAYS))
    looks = []
    while waiting:
        window = waiting.next()
        try:
            looks.append(looker.look(window))
        except (ServerError, TruncatedError) as failure:
            if not waiting.split(window):
                raise
            logger.warning("%s Trying fewer days at once.", failure)
    return looks


def _arrived_after(since_ms: int, where: str | None) -> str:
    arrived = f'properties["{ARRIVED}"] > {since_ms}'
    return f"({where}) and {arrived}" if where else arrived
