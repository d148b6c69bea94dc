"""How hypothesis runs here: the same examples every time, and none of them kept on disk."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", max_examples=100, deadline=None, derandomize=True, database=None)
settings.load_profile("unit")
