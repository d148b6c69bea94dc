"""The recorded outcomes of the conformance tests, which the table in the README shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import results
from tests.conformance.cases import CASES


def test_outcomes_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that never ran is skipped, and a later run replaces only what it ran."""
    monkeypatch.setattr(results, "FILE", tmp_path / "results.json")
    first, second, *others = CASES.values()
    assert {*results.read_outcomes().values()} == {"skipped"}
    results.record({first: "passed", second: "failed"})
    results.record({second: "passed"})
    results.record({first: "failed"})
    outcomes = results.read_outcomes()
    assert (outcomes[first], outcomes[second]) == ("failed", "passed")
    assert {outcomes[case] for case in others} == {"skipped"}
    assert [results.CELLS[outcomes[case]] for case in (first, second)] == ["fails", "exact"]
