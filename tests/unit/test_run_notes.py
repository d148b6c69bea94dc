"""What a run reports once."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from mixpanel_source.config.build import build_config
from mixpanel_source.jobs.run_notes import notes_on
from mixpanel_source.tables.load_log import WindowLoad

DAY = date(2026, 11, 20)
ACCOUNT = {"username": "u", "secret": "s", "project_id": 1}


def load(table: str = "export", **given: Any) -> WindowLoad:
    """A loaded window of one day."""
    return WindowLoad(table, DAY, DAY, 0, 1, 0.0, is_final=True, **given)


def notes(*windows: WindowLoad, **settings: Any) -> list[str]:
    """The notes of a run."""
    return [*notes_on(windows, build_config({**ACCOUNT, **settings}))]


def test_nothing_to_report() -> None:
    """An empty project, and a filter that matched something, are usual."""
    assert notes(load()) == []
    assert notes(load(), load(rows=1), events=["Order"]) == []
    assert notes(events=["Order"]) == []
    assert notes(load("engage", rows_forgotten=1), engage_where="true") == []


def test_masked_property_that_no_row_has() -> None:
    """It is named, because it may be misspelled; without rows nothing is known."""
    mask = {"mask": {"$email": "drop", "emial": "drop"}, "mask_key": "k" * 16}
    seen = frozenset({"$email"})
    (note,) = notes(
        load(rows=1, masked=seen), load("engage", rows=2), load("funnels", rows=1), **mask
    )
    assert note.startswith("mask: no event or profile of this run has emial. Check the spelling")
    assert notes(load(), **mask) == []
    assert notes(load("funnels", rows=1), **mask) == []
    assert notes(load(rows=1, masked=frozenset(mask["mask"])), **mask) == []


@pytest.mark.parametrize(
    ("table", "settings", "named"),
    [
        ("export", {"events": ["Ordr"]}, "matches events."),
        ("export", {"events": ["Ordr"], "where": "false"}, "matches events and where."),
        ("export", {"where": "false"}, "of the 2 days read matches where."),
        ("engage", {"engage_where": "false"}, "engage: nothing matches engage_where."),
        ("engage", {"engage_cohort": 5}, "engage: nothing matches engage_cohort."),
    ],
)
def test_filters_that_match_nothing(table: str, settings: dict[str, Any], named: str) -> None:
    """They are named, once, with the setting."""
    (note,) = notes(load(table), load(table), **settings)
    assert named in note


def test_totals() -> None:
    """Counts of all windows together."""
    first, second = notes(
        load(rows_outside_window=2, rows=1), load(rows_outside_window=3, duplicates_differing=4)
    )
    assert first.startswith("export: 5 events of days that were not requested were dropped")
    assert second.startswith("export: 4 duplicates have other content")
