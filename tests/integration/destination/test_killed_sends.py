"""Imports that are killed while they send."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixpanel_destination.constants import BATCH_ROWS, CLIENTS
from tests.support.killed_sends import kill_sends


@pytest.mark.slow
def test_every_event_arrives(tmp_path: Path) -> None:
    """After two kills every event is there; few rows were sent twice."""
    outcome = kill_sends(tmp_path, events=20_000, kills=2, pace=5_000)
    assert outcome.exit_code == 0
    assert outcome.kills == 2
    assert outcome.distinct == 20_000
    assert outcome.repeated <= 2 * CLIENTS * BATCH_ROWS
