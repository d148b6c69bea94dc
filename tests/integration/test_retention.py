"""Days that are older than the project's plan lets anybody read, and days that are yet to come."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from mixpanel_sandbox.endpoints import export
from mixpanel_sandbox.endpoints.params import parse_date_range
from mixpanel_sandbox.messages import api_error
from mixpanel_source import cli
from mixpanel_source.errors import AccessError, ConfigError
from mixpanel_source.tables.package import TablePart
from tests.support.lab import Lab
from tests.support.projects import ANCHOR, TODAY, YESTERDAY

FIRST = date(2026, 11, 16)
"""The first day that is served."""


def limit_history(
    monkeypatch: pytest.MonkeyPatch, text: str, *, status: int = 403, first: date = FIRST
) -> None:
    """Have exports that begin earlier refused."""

    def parse(request: Any, *, today: date) -> tuple[date, date]:
        window = parse_date_range(request, today=today)
        if window[0] < first:
            raise api_error(status, text, request)
        return window

    monkeypatch.setattr(export, "parse_date_range", parse)


@pytest.mark.parametrize(
    ("text", "status", "window_days", "refusals"),
    [
        ("Date range exceeds 5 days into the past", 403, 1, 1),
        # a day more than it says, so that the first day is refused once more
        ("Date range exceeds 6 days into the past", 400, 3, 4),
        pytest.param(
            "from_date is older than the data retention of this project",
            *(403, 1, 4),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_newer_days_are_loaded(  # noqa: PLR0917 - a table of cases
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    text: str,
    status: int,
    window_days: int,
    refusals: int,
) -> None:
    """They are found in few requests, and the run says from which day on it loads."""
    limit_history(monkeypatch, text, status=status)
    result = lab.sync("export", window_days=window_days)
    assert result.failures == {}
    assert f"set anchor_date = {FIRST}" in caplog.text
    refused = [record for record in lab.requests_for("export") if record.status != 200]
    assert len(refused) <= refusals
    lab.assert_events_kept(FIRST)
    lab.clock.advance(days=1)
    lab.sync("export", anchor_date=FIRST)
    assert {record.status for record in lab.requests_for("export")} == {200}


def test_nothing_is_served(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backfill that is too old altogether fails, in two requests."""
    limit_history(monkeypatch, "Date range exceeds 5 days into the past", first=TODAY)
    failure = lab.backfill(f"{ANCHOR},{ANCHOR + timedelta(days=2)}").failures[TablePart("export")]
    assert isinstance(failure, AccessError)
    assert "anchor_date or range" in str(failure)
    assert len(lab.exported) <= 2


def test_range_in_the_future(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """It is refused before the first request; today alone is nothing, and reported."""
    first = TODAY + timedelta(days=1)
    with pytest.raises(ConfigError, match="in the future"):
        lab.backfill(f"{first},{first + timedelta(days=5)}")
    lab.backfill(f"{TODAY},{first}")
    assert "include_today" in caplog.text
    assert lab.exported == []


def test_range_up_to_today(lab: Lab) -> None:
    """Only what begins in the future is refused."""
    lab.backfill(f"{YESTERDAY},{TODAY + timedelta(days=5)}")
    assert lab.exported == [str(YESTERDAY)]


def test_range_in_the_future_at_the_command_line(
    configured_lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is wrong usage, exit code 2."""
    assert cli.main(["backfill", "--range", "2999-01-01,2999-01-02"]) == 2
    assert "range begins on 2999-01-01, in the future" in capsys.readouterr().err
    assert configured_lab.exported == []
