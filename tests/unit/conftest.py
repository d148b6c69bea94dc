"""How hypothesis runs here: the same examples every time, and none of them kept on disk."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit",
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    # it goes by the clock, and a busy machine is no mistake
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unit")
