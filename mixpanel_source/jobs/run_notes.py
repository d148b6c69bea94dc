"""What a run reports once about all that it loaded.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalog.tables import EXPORT
from ..config.model import Config
from ..tables.load_log import WindowLoad

FILTERS = {
    EXPORT: ("events", "where"),
    "engage": ("engage_where", "engage_behaviors", "engage_cohort"),
}
"""Table -> settings that select its rows."""
MASKED = (EXPORT, "engage", "groups")
"""Tables whose properties are masked by column."""


def notes_on(windows: Sequence[WindowLoad], config: Config) -> Iterator[str]:
    """Yields sentences for the log.

    Args:
        windows: that a run has loaded.
        config: its settings.
    """
    outside = sum(window.rows_outside_window for window in windows)
    if outside:
        yield (
            f"export: {outside:,} events of days that were not requested were dropped, because "
            "the windows of their own days have them. Check where and export_base_url."
        )
    differing = sum(window.duplicates_differing for window in windows)
    if differing:
        yield (
            f"export: {differing:,} duplicates have other content than the event with the same "
            "$insert_id, user and day that was kept. If they are not the same event, the sender "
            "must give each event an $insert_id of its own."
        )
    yield from _empty_notes(windows, config)
    yield from _mask_notes(windows, config)


def _mask_notes(windows: Sequence[WindowLoad], config: Config) -> Iterator[str]:
    """Yields which properties of the mask no row had: a misspelled one masks nothing."""
    loaded = [window for window in windows if window.rows and window.table_name in MASKED]
    seen = {name for window in loaded for name in window.masked}
    unseen = [name for name, _ in config.mask if name not in seen]
    if loaded and unseen:
        yield (
            f"mask: no event or profile of this run has {', '.join(unseen)}. Check the spelling: "
            "names are as Mixpanel has them, such as $email."
        )


def _empty_notes(windows: Sequence[WindowLoad], config: Config) -> Iterator[str]:
    """Yields which filters matched nothing at all."""
    for table, filters in FILTERS.items():
        loaded = [window for window in windows if window.table_name == table]
        names = [name for name in filters if getattr(config, name)]
        if loaded and names and not any(window.rows or window.rows_forgotten for window in loaded):
            days = sum((window.last_day - window.first_day).days + 1 for window in loaded)
            of_days = f" of the {days:,} days read" if table == EXPORT else ""
            yield f"{table}: nothing{of_days} matches {' and '.join(names)}. Check the spelling."
