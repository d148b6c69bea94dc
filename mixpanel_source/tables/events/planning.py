"""Which days of raw events a job loads."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import date, datetime

from ...api.request import Request
from ...catalog.tables import EXPORT
from ...config.model import Config
from ...errors import ConfigError
from ...windows import DAY, Window, days_to_sync, iter_days, newest_day
from .fetching import build_request
from .ledger import Ledger

logger = logging.getLogger("mixpanel_source")


def plan_days(
    config: Config, ledger: Ledger, now: datetime, *, loaded: Collection[tuple[str, date]] = ()
) -> list[date]:
    """The days that a sync, or with `range` a backfill, loads now, in order.

    Args:
        config: the settings.
        ledger: what was loaded before.
        now: an aware instant.
        loaded: table and day of what earlier packages of the same run loaded, which a sync does not
            read again.

    Raises:
        ConfigError: `range` begins after today.
    """
    _refuse_future(config, now)
    newest = newest_day(now, zone=config.project_timezone, include_today=config.include_today)
    if config.range is None:
        anchor = config.anchor(newest + DAY)
        days = days_to_sync(
            anchor=anchor,
            newest=newest,
            synced_through=ledger.synced_through,
            read_on=ledger.read_on,
            lookback_days=config.lookback_days,
        )
        lost = [day for day in ledger.lost_days if anchor <= day <= newest and day not in days]
        return [day for day in [*days, *lost] if (EXPORT, day) not in loaded]
    done = ledger.backfilled_through(config.range)
    first = config.range.first if done is None else done + DAY
    return list(iter_days(first, min(config.range.last, newest)))


def check_range(config: Config, now: datetime) -> None:
    """Refuse a `range` that begins in the future, and warn of one that begins today.

    Args:
        config: the settings.
        now: an aware instant.

    Raises:
        ConfigError: it begins after today.
    """
    _refuse_future(config, now)
    today = newest_day(now, zone=config.project_timezone, include_today=True)
    if config.range is not None and config.range.first == today and not config.include_today:
        logger.warning(
            "range begins today, %s, which is still incomplete, so there is nothing to load. Set "
            "include_today to load it.",
            today,
        )


def _refuse_future(config: Config, now: datetime) -> None:
    today = newest_day(now, zone=config.project_timezone, include_today=True)
    if config.range is not None and config.range.first > today:
        raise ConfigError(
            f"range begins on {config.range.first}, in the future. The last day that can be "
            f"loaded is today, {today}."
        )


def probe(config: Config, now: datetime) -> Request:
    """The cheapest request that shows whether the table can be read."""
    day = newest_day(now, zone=config.project_timezone, include_today=False)
    return build_request(Window(day, day), config, limit=1)
