"""Hypothesis profile: the same examples every time, and no database of failures."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit",
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    # depends on real time, so it would fail on a busy machine
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unit")
