"""Which days of raw events a job loads."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import date, datetime

import dlt

from ...api.request import Request
from ...catalog.tables import EXPORT
from ...config.model import Config
from ...errors import ConfigError
from ...windows import DAY, Window, days_to_sync, iter_days, newest_day
from ..archive.archive import Archive
from ..context import LoadContext
from ..losses import find_lost_days
from ..package import LoadPackage
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


def find_days(context: LoadContext, ledger: Ledger) -> list[date]:
    """The days that a run still has to load, in order; a load package takes them from the first.

    Args:
        context: of the run.
        ledger: what was loaded before; days that an archive lacks are recorded there.

    Raises:
        ConfigError: `range` begins after today.
    """
    if context.catches_up:
        return ledger.late_days
    days = plan_days(context.config, ledger, context.now(), loaded=context.record.days)
    if context.from_archive is None:
        return days
    return _days_in_archive(context, context.from_archive, ledger, days)


def _days_in_archive(
    context: LoadContext, archive: Archive, ledger: Ledger, days: Sequence[date]
) -> list[date]:
    """Those of the planned days that an archive has, unless they were read later than its files.

    A sync requests those that are missing between them the next time it loads from Mixpanel.
    """
    files = [archive.find(EXPORT, day) for day in days]
    held = [file for file in files if file is not None]
    last = max((file.day for file in held), default=date.min)
    missing = [day for day, file in zip(days, files, strict=True) if file is None and day < last]
    if context.config.range is None:
        ledger.record_lost(missing)
    if missing and not context.record.windows:
        logger.warning(
            "export: the archive has no files of %d days, the first of which is %s. They are not "
            "loaded; load them from Mixpanel, with a sync or a backfill.",
            len(missing),
            missing[0],
        )
    return [
        file.day
        for file in held
        if ledger.read_at(Window(file.day, file.day)) <= file.fetched_at
        or file.day in ledger.lost_days
    ]


def record_lost_days(context: LoadContext, package: LoadPackage, ledger: Ledger) -> None:
    """Record the days whose rows are gone, so that a sync reads them again.

    Days before the anchor are only reported: Mixpanel may no longer serve them.
    """
    if package.loss is None:
        return
    anchor = context.config.anchor(context.now().date())
    lost = find_lost_days(dlt.current.pipeline(), package.loss)
    if package.loss.is_table_lost and not package.loss.has_log and ledger.synced_through:
        lost = ledger.loaded_days(Window(anchor, ledger.synced_through))
    ledger.record_lost(day for day in lost if day >= anchor)
    older = [day for day in lost if day < anchor]
    if lost:
        logger.warning(
            "export: rows of %d days are missing that were loaded, from %s to %s. A sync reads "
            "them again.",
            len(lost),
            lost[0],
            lost[-1],
        )
    if older:
        logger.warning(
            "export: of these, %d days before anchor_date are read again by a backfill only: "
            "mixpanel-source backfill --range %s,%s",
            len(older),
            older[0],
            older[-1],
        )


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
