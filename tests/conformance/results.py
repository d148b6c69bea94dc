"""What the cases found the last time that they ran.

`make conformance` runs them, writes `results.json`, and makes the table in the README of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.conformance.cases import CASES, Case

FILE = Path(__file__).with_name("results.json")
CELLS = {"passed": "exact", "failed": "fails", "skipped": "not run"}
"""Outcome of a test, as pytest calls it -> what the table says."""


def read_outcomes() -> Mapping[Case, str]:
    """The recorded outcomes; a case that never ran counts as skipped."""
    recorded = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return {case: recorded.get(id_, "skipped") for id_, case in CASES.items()}


def record(outcomes: Mapping[Case, str]) -> None:
    """Write outcomes over those of earlier runs."""
    merged = {**read_outcomes(), **outcomes}
    recorded = {id_: merged[case] for id_, case in CASES.items()}
    FILE.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
