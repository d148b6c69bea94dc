"""A clock that is wrong: Mixpanel's time, which every reply has, decides what is final."""

from __future__ import annotations

from itertools import product

import pytest

from tests.support.clock import DAY_S, Clock
from tests.support.lab import Lab
from tests.support.projects import TODAY, YESTERDAY, add_event
from tests.support.slow import slow_except


@pytest.mark.parametrize(
    ("window_days", "days"),
    slow_except([(1, 5)], product((1, 7), (5, 0.5, -5))),
)
def test_late_events_of_days_read_by_a_wrong_clock(
    lab: Lab, days: float, window_days: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A day that was read with a clock that is ahead is read again as if the clock were right."""
    lab.overrides = {"window_days": window_days}
    lab.clock.advance(days=-1)
    lab.sync("export")
    lab.clock.advance(days=1)
    result = lab.sync("export", clock=Clock(lab.clock.now + days * DAY_S))
    assert result.failures == {}
    assert caplog.text.count("The clock of this machine is") == 1
    # what arrives late
    for number, day in enumerate((YESTERDAY, TODAY)):
        add_event(lab.project, day, 40 + number)
    lab.clock.advance(days=2)
    lab.sync("export")
    lab.assert_events_kept(last=TODAY)


def test_first_sync_by_a_clock_that_is_ahead(lab: Lab) -> None:
    """No later day is requested than Mixpanel's yesterday, once a reply has said when that is."""
    lab.sync("export", clock=Clock(lab.clock.now + 5 * DAY_S))
    assert lab.exported[-1] == str(YESTERDAY)
    lab.assert_events_kept()


def test_small_differences_do_not_matter(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Clocks are never quite the same."""
    for seconds in (-200, 200):
        lab.sync("export", clock=Clock(lab.clock.now + seconds))
    assert "clock" not in caplog.text
    lab.assert_events_kept()


def test_clock_that_is_set_back(lab: Lab) -> None:
    """Requests that were logged by a clock that was ahead do not hold up the next ones."""
    pace = {"requests_per_second": 1, "requests_per_hour": 60}
    lab.backfill(f"{YESTERDAY},{YESTERDAY}", clock=Clock(lab.clock.now + 5 * DAY_S), **pace)
    started_at = lab.clock.now
    lab.backfill(f"{YESTERDAY},{YESTERDAY}", **pace)
    assert lab.clock.now - started_at < 70
